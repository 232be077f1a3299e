import socket

import pytest
import tenacity

from beam_jobs.config import FetchConfig
from beam_jobs.fetching.fetcher import Fetcher, FetchFailedError, HttpStatusError, _Backoff, is_http
from tests.beam_jobs.conftest import JPEG

QUICK = FetchConfig(timeout_secs=0.4, attempts=2)


def failure_of(uri: str, config: FetchConfig = QUICK) -> tuple[str, str, int]:
    """Error type, message and attempts."""
    with pytest.raises(FetchFailedError) as raised:
        Fetcher(config).fetch(uri)
    cause = raised.value.__cause__
    return type(cause).__name__, str(cause), raised.value.attempts


def test_http_addresses_are_told_from_others():
    assert [is_http(uri) for uri in ("HTTP://x/a", "https://x", "gs://x", "http.jpg")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("path", ["photo.jpg", "moved.jpg", "flaky.jpg", "packed.jpg"])
def test_photos_come_over_http_also_redirected_refused_at_first_or_packed(web, path):
    assert Fetcher(FetchConfig(attempts=3)).fetch(web.url(path)) == JPEG


def test_files_are_read_by_path_and_by_uri(tmp_path):
    path = tmp_path / "a b.jpg"
    path.write_bytes(JPEG)
    fetcher = Fetcher(QUICK)
    assert fetcher.fetch(str(path)) == fetcher.fetch(f"file://{tmp_path}/a%20b.jpg") == JPEG


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("missing.jpg", ("HttpStatusError", "HTTP 404 Not Found", 1)),
        ("forbidden.jpg", ("HttpStatusError", "HTTP 403 Forbidden", 1)),
        ("broken.jpg", ("HttpStatusError", "HTTP 503 Service Unavailable", 2)),
        ("trickle.jpg", ("FetchTimeoutError", "within 0.4 s", 2)),
        ("slow.jpg", ("FetchTimeoutError", "no answer within 0.4 s", 2)),
        ("short.jpg", ("ConnectionError", "broken off", 2)),
        ("loop.jpg", ("TooManyRedirects", "Exceeded 5 redirects.", 1)),
    ],
)
def test_what_may_pass_is_tried_again_and_what_will_not_is_not(web, path, expected):
    error_type, message, attempts = failure_of(web.url(path))
    assert (error_type, attempts) == (expected[0], expected[2])
    assert expected[1] in message
    if path != "loop.jpg":
        assert web.requests[f"/{path}"] == expected[2]


def test_a_closed_port_is_tried_again():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    error_type, _, attempts = failure_of(f"http://127.0.0.1:{port}/a.jpg")
    assert (error_type, attempts) == ("ConnectionError", 2)


def test_too_many_bytes_are_refused_while_they_come(web, tmp_path):
    path = tmp_path / "big.jpg"
    path.write_bytes(JPEG)
    limited = FetchConfig(max_image_bytes=len(JPEG) - 1)
    message = f"more than {len(JPEG) - 1} bytes; --max_image_bytes sets the limit"
    for uri in (str(path), web.url("photo.jpg")):
        assert failure_of(uri, limited) == ("TooManyBytesError", message, 1)
    exact = FetchConfig(max_image_bytes=len(JPEG))
    assert Fetcher(exact).fetch(str(path)) == Fetcher(exact).fetch(web.url("photo.jpg")) == JPEG


def test_files_that_cannot_be_read_fail_at_once(tmp_path):
    assert failure_of(str(tmp_path / "no.jpg"))[::2] == ("FileNotFoundError", 1)
    assert failure_of(str(tmp_path))[::2] == ("IsADirectoryError", 1)
    assert failure_of("nosuch://bucket/a.jpg")[::2] == ("ValueError", 1)


def test_the_wait_is_what_the_server_asks_within_the_limit():
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    for asked, lowest, highest in ((0, 0.5, 1.0), (7, 7, 7), (3600, 30, 30)):
        error = HttpStatusError(429, "Too Many Requests", asked)
        state.set_exception((type(error), error, None))
        assert lowest <= _Backoff()(state) <= highest
