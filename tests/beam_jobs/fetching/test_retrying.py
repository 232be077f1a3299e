import email.utils
import errno
import http.client
import threading
import time

import pytest
import requests
import tenacity
import urllib3
from apache_beam.io.aws.clients.s3.messages import S3ClientError
from apache_beam.io.filesystem import BeamIOError

from beam_jobs.fetching import errors
from beam_jobs.fetching.errors import FetchFailedError, HttpStatusError, Prospect
from beam_jobs.fetching.retrying import (
    MAX_RETRY_AFTER_SECS,
    Backoff,
    call,
    prospect_of,
    retry_after_secs,
)


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", 0),
        ("0", 0),
        ("7", 7),
        (" 120 ", 120),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 480),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 480),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("²", 0),
        ("99999999999999999999 Oct", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, expected):
    now = email.utils.parsedate_to_datetime("Wed, 21 Oct 2015 07:20:00 GMT").timestamp()
    assert retry_after_secs(header, now) == expected


def test_a_date_is_judged_by_the_clock():
    header = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 98 <= retry_after_secs(header) <= 100


def test_the_wait_grows_with_jitter_and_is_never_less_than_the_server_asks():
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    for attempt, asked, lowest, highest in (
        (1, 0, 0.5, 1.0),
        (3, 0, 2.0, 4.0),
        (9, 0, 30, 30),
        (1, 7, 7, 7),
        (1, 100, 100, 100),
        (3, 3, 3, 4),
    ):
        state.attempt_number = attempt
        error = HttpStatusError(429, "Too Many Requests", asked)
        state.set_exception((type(error), error, None))
        assert lowest <= Backoff()(state) <= highest


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (HttpStatusError(503, ""), Prospect.RETRY),
        (HttpStatusError(404, ""), Prospect.NONE),
        (HttpStatusError(429, "", MAX_RETRY_AFTER_SECS), Prospect.RETRY),
        (HttpStatusError(429, "", MAX_RETRY_AFTER_SECS + 1), Prospect.ANOTHER_RUN),
        (HttpStatusError(403, "", 3600), Prospect.NONE),
        (errors.FetchTimeoutError(""), Prospect.RETRY),
        (errors.NameLookupError(""), Prospect.ANOTHER_RUN),
        (caused(errors.TlsError(""), ConnectionResetError()), Prospect.NONE),
        (ConnectionResetError(errno.ECONNRESET, ""), Prospect.RETRY),
        (TimeoutError(), Prospect.RETRY),
        (BrokenPipeError(), Prospect.RETRY),
        (OSError(errno.ESTALE, "stale"), Prospect.RETRY),
        (FileNotFoundError(errno.ENOENT, ""), Prospect.NONE),
        (PermissionError(errno.EACCES, ""), Prospect.NONE),
        (IsADirectoryError(errno.EISDIR, ""), Prospect.NONE),
        (ValueError("no such file system"), Prospect.NONE),
        (MemoryError(), Prospect.NONE),
        (requests.ConnectionError(), Prospect.RETRY),
        (requests.ReadTimeout(), Prospect.RETRY),
        (requests.exceptions.SSLError(), Prospect.NONE),
        (urllib3.exceptions.ProtocolError("x", ConnectionResetError()), Prospect.RETRY),
        (http.client.IncompleteRead(b""), Prospect.RETRY),
        (S3ClientError("", 503), Prospect.RETRY),
        (S3ClientError("", 429), Prospect.RETRY),
        (S3ClientError("", 404), Prospect.NONE),
        (S3ClientError("", None), Prospect.NONE),
        (caused(S3ClientError("", None), TimeoutError()), Prospect.RETRY),
        (BeamIOError("no", {"s3://b/a": S3ClientError("", 500)}), Prospect.RETRY),
        (BeamIOError("no", {"s3://b/a": S3ClientError("", 403)}), Prospect.NONE),
        (BeamIOError("no"), Prospect.NONE),
    ],
    ids=repr,
)
def test_every_kind_of_error_has_its_prospect(error, expected):
    assert prospect_of(error) is expected


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("ServiceUnavailable", ("",), Prospect.RETRY),
        ("InternalServerError", ("",), Prospect.RETRY),
        ("TooManyRequests", ("",), Prospect.RETRY),
        ("ServerError", ("",), Prospect.RETRY),
        ("NotFound", ("",), Prospect.NONE),
        ("Forbidden", ("",), Prospect.NONE),
        ("RetryError", ("", None), Prospect.ANOTHER_RUN),
    ],
)
def test_googles_errors_are_known_by_their_status(name, arguments, expected):
    exceptions = pytest.importorskip("google.api_core.exceptions")
    assert prospect_of(getattr(exceptions, name)(*arguments)) is expected


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("SlowDown", 503, Prospect.RETRY),
        ("RequestTimeout", 400, Prospect.RETRY),
        ("RequestLimitExceeded", 400, Prospect.RETRY),
        ("500", 500, Prospect.RETRY),
        ("NoSuchKey", 404, Prospect.NONE),
        ("AccessDenied", 403, Prospect.NONE),
    ],
)
def test_amazons_errors_are_known_by_code_and_status(code, status, expected):
    exceptions = pytest.importorskip("botocore.exceptions")
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert prospect_of(exceptions.ClientError(response, "GetObject")) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EndpointConnectionError", Prospect.RETRY),
        ("ConnectTimeoutError", Prospect.RETRY),
        ("ReadTimeoutError", Prospect.RETRY),
        ("ConnectionClosedError", Prospect.RETRY),
        ("SSLError", Prospect.NONE),
    ],
)
def test_amazons_connection_errors_are_known_by_their_class(name, expected):
    exceptions = pytest.importorskip("botocore.exceptions")
    error = getattr(exceptions, name)(endpoint_url="https://s3", error="no")
    assert prospect_of(error) is expected


def test_the_last_error_and_the_number_of_attempts_are_kept():
    tried: list[int] = []

    def read() -> bytes:
        tried.append(1)
        raise ConnectionResetError if len(tried) < 3 else PermissionError(errno.EACCES, "no")

    with pytest.raises(FetchFailedError) as raised:
        call(read, 5, Ready())
    assert (raised.value.attempts, raised.value.transient, len(tried)) == (3, False, 3)
    assert type(raised.value.__cause__) is PermissionError


def test_what_succeeds_at_the_last_attempt_is_returned():
    left = [ConnectionResetError(), TimeoutError()]

    def read() -> bytes:
        if left:
            raise left.pop()
        return b"image"

    assert call(read, 3, Ready()) == b"image"


def test_nothing_is_read_once_it_is_stopping():
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(FetchFailedError) as raised:
        call(lambda: b"image", 3, stopping)
    assert type(raised.value.__cause__) is errors.ReadStoppedError
    assert raised.value.transient is True


class Ready(threading.Event):
    """Waits for nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        return False
