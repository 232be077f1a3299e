"""One attempt to read an image over http(s), within limits of time, size, redirects and manners.

Takes a URL; gives the body's bytes, decompressed where the server compressed them, or raises a
named error. Requests are independent of one another: no cookies. Redirects are followed here, not
by `requests`, which would read their bodies whole.
"""

import contextlib
import http.client
import http.cookiejar
import os
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import requests
import urllib3

from beam_jobs.config import FetchConfig
from beam_jobs.fetching.addresses import IsAllowed
from beam_jobs.fetching.connections import GuardedAdapter, SocketWatch
from beam_jobs.fetching.errors import (
    BadAnswerError,
    BadUrlError,
    BrokenConnectionError,
    FetchTimeoutError,
    HttpStatusError,
    ReadError,
    ReadStoppedError,
    RobotsDisallowedError,
    TlsError,
    TooManyBytesError,
    TooManyRedirectsError,
)
from beam_jobs.fetching.retrying import chain, retry_after_secs
from beam_jobs.fetching.robots import forbidding_directive

USER_AGENT = "batch-image-captioning"
CHUNK_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FOREIGN_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)
_CA_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def is_http(uri: str) -> bool:
    """Tells whether a URI is read over http(s) rather than through a file system."""
    return uri.lower().startswith(("http://", "https://"))


class HttpReader:
    """Reads over http(s); keeps connections open in between. One thread uses it at a time."""

    def __init__(self, config: FetchConfig, is_allowed: IsAllowed | None) -> None:
        """Opens no connection yet.

        Args:
            config: the limits.
            is_allowed: judges the addresses that connections go to. With None all are allowed, and
                proxies and passwords are taken from the environment and `.netrc`; otherwise not,
                since a proxy would do the connecting.
        """
        self._config = config
        self._sockets = SocketWatch()
        self._stopped = threading.Event()
        self._session = _Session()
        self._session.trust_env = is_allowed is None
        if is_allowed is not None:
            self._session.verify = _ca_bundle()
        adapter = GuardedAdapter(is_allowed, self._sockets)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def stop(self) -> None:
        """Breaks off the read that is under way, and all later ones; called by any thread."""
        self._stopped.set()
        self._sockets.break_off()

    def read(self, url: str, on_request: Callable[[str], None]) -> bytes:
        """Makes one attempt.

        Args:
            url: begins with `http://` or `https://`.
            on_request: called with the URL before it is asked for, and with those of redirects.

        Raises:
            ReadError: of the kind that says what was wrong.
        """
        deadline = time.monotonic() + self._config.timeout_secs
        try:
            for _ in range(self._config.max_redirects + 1):
                on_request(url)
                with self._get(url, deadline) as response:
                    target = _redirect_target(response)
                    if target is None:
                        return self._read_answer(response, deadline)
                url = target
        except _FOREIGN_ERRORS as error:
            if self._stopped.is_set():
                raise ReadStoppedError("the job ends") from error
            raise _named(error, self._config.timeout_secs) from error
        finally:
            self._sockets.unwatch()
        raise TooManyRedirectsError(
            f"more than {self._config.max_redirects} redirects; --max_redirects sets the limit"
        )

    def _get(self, url: str, deadline: float) -> requests.Response:
        left = deadline - time.monotonic()
        if left <= 0:
            raise FetchTimeoutError(f"no answer within {self._config.timeout_secs} s")
        # Connecting, the head and the body share the time; requests' types lack this class.
        timeout: Any = urllib3.Timeout(total=left)
        return self._session.get(url, stream=True, allow_redirects=False, timeout=timeout)

    def _read_answer(self, response: requests.Response, deadline: float) -> bytes:
        status = response.status_code
        if not 200 <= status < 300:
            wait_secs = retry_after_secs(response.headers.get("Retry-After", ""))
            raise HttpStatusError(status, response.reason or "", wait_secs)
        if self._config.respect_robots_tag:
            tags = response.raw.headers.getlist("X-Robots-Tag")
            directive = forbidding_directive(tags, USER_AGENT)
            if directive:
                raise RobotsDisallowedError(directive)
        return self._read_body(response, deadline)

    def _read_body(self, response: requests.Response, deadline: float) -> bytes:
        limit = self._config.max_image_bytes
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise TooManyBytesError(limit)
        data = bytearray()
        # read1 gives what has arrived, so that the limits hold while it comes.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            data += chunk
            if len(data) > limit:
                raise TooManyBytesError(limit)
            if time.monotonic() > deadline:
                raise FetchTimeoutError(
                    f"only {len(data)} bytes within {self._config.timeout_secs} s"
                )
        return bytes(data)


class _Session(requests.Session):
    """Follows no redirects and keeps no cookies."""

    def __init__(self) -> None:
        super().__init__()
        self.headers["User-Agent"] = USER_AGENT
        # Images are compressed already.
        self.headers["Accept-Encoding"] = "identity"
        self.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _ca_bundle() -> str | bool:
    """The certificates that the environment names, as `requests` has it; True for its own."""
    return next((os.environ[name] for name in _CA_BUNDLE_VARIABLES if os.environ.get(name)), True)


def _redirect_target(response: requests.Response) -> str | None:
    location = response.headers.get("Location")
    if response.status_code not in _REDIRECTS or location is None:
        return None
    # Headers arrive as Latin-1; those that are not ASCII are mostly meant as UTF-8.
    with contextlib.suppress(UnicodeDecodeError):
        location = location.encode("latin-1").decode("utf-8")
    target = urljoin(response.url, location)
    if not is_http(target):
        raise BadAnswerError(f"a redirect to {target}, which is not http(s)")
    return target


def _named(error: Exception, timeout_secs: float) -> ReadError:
    """Finds the name for what `requests`, urllib3 or a socket raised."""
    links = list(chain(error))
    if _has(links, requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        return FetchTimeoutError(f"no answer within {timeout_secs} s")
    if _has(links, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return BrokenConnectionError("broken off while TLS was spoken")
    if _has(links, requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError):
        return TlsError(_innermost(links))
    if _has(links, http.client.RemoteDisconnected):
        return BrokenConnectionError("broken off: the server closed the connection")
    if _has(
        links,
        http.client.BadStatusLine,
        http.client.LineTooLong,
        http.client.UnknownProtocol,
        urllib3.exceptions.DecodeError,
    ):
        return BadAnswerError(f"not an HTTP answer: {_innermost(links)}")
    if isinstance(error, ValueError) or _has(links, http.client.InvalidURL):
        return BadUrlError(f"not a URL that can be asked for: {error}")
    return BrokenConnectionError(f"broken off: {_innermost(links)}")


def _has(links: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(link, kinds) for link in links)


def _innermost(links: list[BaseException]) -> str:
    """The words of the error that the others wrap, on one line."""
    return " ".join(str(links[-1]).split()) or type(links[-1]).__name__
