"""What can go wrong while an image is read: one class for each kind, named for the failure row.

Every error knows its `Prospect`: whether the same read may succeed a moment later, only in another
run, or never. Messages hold no object addresses or times, so equal failures have equal messages.
"""

import enum
from typing import ClassVar

FIRST_FAILING_STATUS = 500
_PASSING_STATUS = frozenset({408, 425, 429})


class Prospect(enum.Enum):
    """Whether a read that failed may succeed when it is tried again."""

    RETRY = "a moment later"
    ANOTHER_RUN = "in another run"
    NONE = "never"


def prospect_of_status(status: int) -> Prospect:
    """Tells whether a request that ended with this HTTP status is worth another attempt.

    >>> [prospect_of_status(status).name for status in (503, 429, 404)]
    ['RETRY', 'RETRY', 'NONE']
    """
    passes = status >= FIRST_FAILING_STATUS or status in _PASSING_STATUS
    return Prospect.RETRY if passes else Prospect.NONE


class ReadError(Exception):
    """Base class; `prospect` says whether the read may succeed when it is tried again."""

    prospect: ClassVar[Prospect] = Prospect.NONE


class FetchFailedError(Exception):
    """All attempts failed; `__cause__` is the last error.

    Attributes:
        attempts: how many there were, 1 or more.
        transient: whether another run may succeed: true for time-outs, broken connections, status
            429 and 5xx, unknown host names; false for what is as it is, such as status 404.
    """

    def __init__(self, attempts: int, transient: bool = False) -> None:
        """Keeps the number of attempts, and what may be hoped for."""
        super().__init__(f"failed after {attempts} attempts")
        self.attempts = attempts
        self.transient = transient


class HttpStatusError(ReadError):
    """The server answered with a status other than success."""

    def __init__(self, status: int, reason: str, retry_after_secs: float = 0.0) -> None:
        """Keeps what decides over another attempt.

        Args:
            status: HTTP status code.
            reason: the server's words for it.
            retry_after_secs: how long the server asks to wait, 0 where it does not.
        """
        super().__init__(f"HTTP {status} {reason}".strip())
        self.status = status
        self.retry_after_secs = retry_after_secs


class FetchTimeoutError(ReadError):
    """The image did not arrive in time."""

    prospect = Prospect.RETRY


class BrokenConnectionError(ReadError):
    """The connection could not be made, or ended before the image was whole."""

    prospect = Prospect.RETRY


class NameLookupError(ReadError):
    """The name server does not know the host, today; it is asked once in a run."""

    prospect = Prospect.ANOTHER_RUN


class NameServerError(ReadError):
    """The name server could not be asked."""

    prospect = Prospect.RETRY


class ReadStoppedError(ReadError):
    """The job ends: the read was broken off from this side."""

    prospect = Prospect.ANOTHER_RUN


class TlsError(ReadError):
    """The server could not show that it is the one asked for, or speaks no usable TLS."""


class BadAnswerError(ReadError):
    """What came is no HTTP answer that holds an image: garbage, or a redirect to elsewhere."""


class BadUrlError(ReadError):
    """The URL cannot be asked for."""


class TooManyRedirectsError(ReadError):
    """The server sent the request on too often."""


class TooManyBytesError(ReadError):
    """The image has more encoded bytes than the limit allows."""

    def __init__(self, limit_bytes: int) -> None:
        """Names the limit and the flag that sets it."""
        super().__init__(f"more than {limit_bytes} bytes; --max_image_bytes sets the limit")


class PrivateAddressError(ReadError):
    """The host is at an address that is not public, so that the request was not made."""

    def __init__(self, host: str, where: str) -> None:
        """Names the host and its address.

        Args:
            host: as the URL or the redirect names it.
            where: its address, in words that follow "is".
        """
        super().__init__(f"{host} is {where}; --allow_private_addresses lets it be read")


class RobotsDisallowedError(ReadError):
    """The server forbids this use of the image by an `X-Robots-Tag` header."""

    def __init__(self, directive: str) -> None:
        """Names what the server said, such as `noai`."""
        super().__init__(f"X-Robots-Tag: {directive}; --ignore_robots_tag reads it all the same")


class ShortArchiveError(ReadError):
    """The archive ends before the image does."""
