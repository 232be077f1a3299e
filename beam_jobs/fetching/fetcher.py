"""One image's encoded bytes, from a file system or over http(s), within limits.

Takes a URI; gives its bytes, or raises one named error after the last attempt. What may pass (a
time-out, a broken connection, status 429 or 5xx) is tried again after a growing, jittered wait;
what will not (404, 403, too many bytes) is not.
"""

import random
import time
from typing import Any

import requests
import tenacity
import urllib3
from tenacity.wait import wait_base

from beam_jobs import storage
from beam_jobs.config import FetchConfig

USER_AGENT = "batch-image-captioning"
CHUNK_BYTES = 64 * 1024
MAX_REDIRECTS = 5
FIRST_WAIT_SECS = 0.5
MAX_WAIT_SECS = 30.0
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpStatusError(Exception):
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


class TooManyBytesError(Exception):
    """The image has more encoded bytes than the limit allows."""


class FetchTimeoutError(Exception):
    """The image did not arrive in time."""


class FetchFailedError(Exception):
    """All attempts failed; `__cause__` is the last error, `attempts` their number."""

    def __init__(self, attempts: int) -> None:
        """Keeps the number of attempts made, 1 or more."""
        super().__init__(f"failed after {attempts} attempts")
        self.attempts = attempts


def is_http(uri: str) -> bool:
    """Tells whether a URI is read over http(s) rather than through a file system."""
    return uri.lower().startswith(("http://", "https://"))


class Fetcher:
    """Reads images; keeps connections open between them. One thread uses it at a time."""

    def __init__(self, config: FetchConfig) -> None:
        """Opens no connection yet."""
        self._config = config
        self._session = requests.Session()
        self._session.max_redirects = MAX_REDIRECTS
        self._session.headers["User-Agent"] = USER_AGENT

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def fetch(self, uri: str) -> bytes:
        """Reads an image.

        Args:
            uri: an http(s) URL, or an address on any file system that Beam knows.

        Returns:
            The encoded bytes, as they are, whatever they are.

        Raises:
            FetchFailedError: from the last error, after the last attempt.
        """
        read = self._read_http if is_http(uri) else self._read_file
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._config.attempts),
            wait=_Backoff(),
            retry=tenacity.retry_if_exception(_may_pass),
            reraise=True,
        )
        try:
            return retrying(read, uri)
        # Every file system and every server has errors of its own; each is one image's failure.
        except Exception as error:
            raise FetchFailedError(retrying.statistics.get("attempt_number", 1)) from error

    def _read_file(self, uri: str) -> bytes:
        with storage.open_read(uri) as stream:
            data = stream.read(self._config.max_image_bytes + 1)
        if len(data) > self._config.max_image_bytes:
            raise self._too_many_bytes()
        return data

    def _read_http(self, url: str) -> bytes:
        timeout_secs = self._config.timeout_secs
        deadline = time.monotonic() + timeout_secs
        try:
            with self._session.get(url, stream=True, timeout=timeout_secs) as response:
                if not response.ok:
                    raise HttpStatusError(
                        response.status_code, response.reason, _retry_after(response)
                    )
                return self._read_body(response, deadline)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise FetchTimeoutError(f"no answer within {timeout_secs} s: {error}") from error
        except urllib3.exceptions.ProtocolError as error:
            raise requests.ConnectionError(f"broken off: {error}") from error

    def _read_body(self, response: requests.Response, deadline: float) -> bytes:
        data = bytearray()
        # read1 gives what has arrived, so that a trickle cannot outlast the deadline.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            data += chunk
            if len(data) > self._config.max_image_bytes:
                raise self._too_many_bytes()
            if time.monotonic() > deadline:
                raise FetchTimeoutError(
                    f"only {len(data)} bytes within {self._config.timeout_secs} s"
                )
        return bytes(data)

    def _too_many_bytes(self) -> TooManyBytesError:
        limit = self._config.max_image_bytes
        return TooManyBytesError(f"more than {limit} bytes; --max_image_bytes sets the limit")


class _Backoff(wait_base):
    """Exponential with jitter, or as long as the server asks, never above `MAX_WAIT_SECS`."""

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = error.retry_after_secs if isinstance(error, HttpStatusError) else 0.0
        exponential = FIRST_WAIT_SECS * 2.0 ** (retry_state.attempt_number - 1)
        return min(max(asked, exponential * random.uniform(1.0, 2.0)), MAX_WAIT_SECS)


def _may_pass(error: BaseException) -> bool:
    """Tells whether another attempt may succeed."""
    if isinstance(error, HttpStatusError):
        return error.status in _PASSING_STATUS
    if isinstance(error, requests.exceptions.SSLError):
        return False
    return isinstance(error, (FetchTimeoutError, requests.ConnectionError))


def _retry_after(response: Any) -> float:
    """Returns the seconds of a `Retry-After` header; 0 where there is none, or it is a date."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0
