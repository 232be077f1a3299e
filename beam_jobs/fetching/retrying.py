"""When a read is tried again, and how long to wait before.

A read is worth another attempt by the `Prospect` of its error. Those of http(s) say it themselves;
those of file systems (Beam's, Google's, Amazon's) are judged by what they carry, without importing
packages that may not be installed: a status code, an error code, a class name, an `errno`.
"""

import email.utils
import errno
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import tenacity
from tenacity.wait import wait_base

from beam_jobs.fetching.errors import (
    FetchFailedError,
    HttpStatusError,
    Prospect,
    ReadError,
    ReadStoppedError,
    prospect_of_status,
)

FIRST_WAIT_SECS = 0.5
MAX_WAIT_SECS = 30.0
# A server that asks for more than this is left alone until another run.
MAX_RETRY_AFTER_SECS = 120.0

_STATUS_NAMES = ("code", "status_code", "status")
_PASSING_CODES = frozenset(
    {
        "InternalError",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)
_PASSING_CLASSES = frozenset(
    {
        "ConnectionError",  # the built-in one and that of requests
        "HTTPClientError",  # botocore: time-outs and broken connections
        "IncompleteRead",
        "IncompleteReadError",
        "ProtocolError",  # urllib3
        "ResponseStreamingError",
        "ServerError",  # google.api_core, where it has no code
        "Timeout",  # requests
        "TimeoutError",
        "TransportError",  # google.auth
    }
)
_LASTING_CLASSES = frozenset({"SSLError", "ProxyConnectionError", "NoCredentialsError"})
_PASSING_ERRNO = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ESTALE,
    }
)
_Read = TypeVar("_Read")


def call(read: Callable[[], _Read], attempts: int, stopping: threading.Event) -> _Read:
    """Reads, and reads again where that may help.

    Args:
        read: one attempt.
        attempts: most of them.
        stopping: once set, ends the waiting and allows no further attempt.

    Returns:
        What `read` returned.

    Raises:
        FetchFailedError: from the last attempt's error.
    """
    made = 0

    def attempt() -> _Read:
        nonlocal made
        if stopping.is_set():
            raise ReadStoppedError("the job ends")
        made += 1
        return read()

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=Backoff(),
        sleep=tenacity.sleep_using_event(stopping),
        retry=tenacity.retry_if_exception(lambda error: prospect_of(error) is Prospect.RETRY),
        reraise=True,
    )
    try:
        return retrying(attempt)
    # Every file system and every server has errors of its own; each is one image's failure.
    except Exception as error:
        transient = prospect_of(error) is not Prospect.NONE
        raise FetchFailedError(max(made, 1), transient) from error


class Backoff(wait_base):
    """Exponential with jitter, never above `MAX_WAIT_SECS`; or longer, as the server asks."""

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        """Returns the seconds to wait after the attempt that has just failed."""
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = error.retry_after_secs if isinstance(error, HttpStatusError) else 0.0
        exponential = FIRST_WAIT_SECS * 2.0 ** (retry_state.attempt_number - 1)
        return max(asked, min(exponential * random.uniform(1.0, 2.0), MAX_WAIT_SECS))


def retry_after_secs(header: str, now: float | None = None) -> float:
    """Reads a `Retry-After` header.

    Args:
        header: seconds, or an HTTP date.
        now: seconds since 1970; the clock's by default.

    Returns:
        Seconds to wait, 0 or more; 0 for what cannot be read.
    """
    if header.strip().isdecimal():
        return float(header)
    try:
        until = email.utils.parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(0.0, until - (time.time() if now is None else now))


def prospect_of(error: BaseException) -> Prospect:
    """Tells whether what failed with this error may succeed when it is tried again."""
    for link in chain(error):
        prospect = _judge(link)
        if prospect is not None:
            return prospect
    return Prospect.NONE


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and those inside it: arguments, Beam's details, causes; the outer first."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop(0)
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        details = getattr(link, "exception_details", None)
        inside = list(details.values()) if isinstance(details, dict) else []
        inside += [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]
        waiting += inside


def _judge(error: BaseException) -> Prospect | None:
    """Judges by this error alone; None where it does not say."""
    if isinstance(error, ReadError):
        return _judge_read_error(error)
    if _error_code(error) in _PASSING_CODES:
        return Prospect.RETRY
    status = _status(error)
    if status is not None:
        return prospect_of_status(status)
    names = {base.__name__ for base in type(error).__mro__}
    if names & _LASTING_CLASSES:
        return Prospect.NONE
    if "RetryError" in names:  # Google's client has tried for minutes.
        return Prospect.ANOTHER_RUN
    if names & _PASSING_CLASSES or getattr(error, "retryable", None) is True:
        return Prospect.RETRY
    if isinstance(error, OSError) and error.errno is not None:
        return Prospect.RETRY if error.errno in _PASSING_ERRNO else Prospect.NONE
    return None


def _judge_read_error(error: ReadError) -> Prospect:
    if not isinstance(error, HttpStatusError):
        return error.prospect
    prospect = prospect_of_status(error.status)
    if prospect is Prospect.RETRY and error.retry_after_secs > MAX_RETRY_AFTER_SECS:
        return Prospect.ANOTHER_RUN
    return prospect


def _response(error: BaseException) -> dict[str, Any]:
    """What botocore's `ClientError` carries."""
    response = getattr(error, "response", None)
    return response if isinstance(response, dict) else {}


def _error_code(error: BaseException) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error of Google's, Amazon's or Beam's client carries."""
    candidates = [getattr(error, name, None) for name in _STATUS_NAMES]
    candidates.append(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode"))
    for value in candidates:
        if isinstance(value, int) and 100 <= value <= 599:
            return int(value)
    return None
