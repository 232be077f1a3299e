import json
import os
import socket
import threading
import time

import pytest

from beam_jobs.config import FetchConfig
from beam_jobs.fetching.fetcher import USER_AGENT, Fetcher, FetchFailedError, is_http
from beam_jobs.inputs.rows import InputRow, Span
from tests.beam_jobs.conftest import JPEG

QUICK = FetchConfig(timeout_secs=0.4, attempts=2, allow_private_addresses=True)


def failure_of(uri: str, config: FetchConfig = QUICK) -> tuple[str, str, int, bool]:
    """Error type, message, attempts, and whether another run may succeed."""
    with pytest.raises(FetchFailedError) as raised:
        Fetcher(config).fetch(uri)
    cause = raised.value.__cause__
    return type(cause).__name__, str(cause), raised.value.attempts, raised.value.transient


def test_http_addresses_are_told_from_others():
    assert [is_http(uri) for uri in ("HTTP://x/a", "https://x", "gs://x", "http.jpg")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "path", ["photo.jpg", "moved.jpg", "hop/5", "flood.jpg", "flaky.jpg", "packed.jpg"]
)
def test_photos_come_over_http_also_redirected_refused_at_first_or_packed(web, path):
    config = FetchConfig(attempts=3, allow_private_addresses=True)
    assert Fetcher(config).fetch(web.url(path)) == JPEG


def test_files_are_read_by_path_and_by_uri(tmp_path):
    path = tmp_path / "a b.jpg"
    path.write_bytes(JPEG)
    fetcher = Fetcher(QUICK)
    assert fetcher.fetch(str(path)) == fetcher.fetch(f"file://{tmp_path}/a%20b.jpg") == JPEG


def test_relative_paths_start_from_the_base_folder_not_from_the_working_directory(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.jpg").write_bytes(JPEG)
    fetcher = Fetcher(FetchConfig(base_folder=str(tmp_path)))
    assert fetcher.fetch("sub/a.jpg") == fetcher.fetch(str(tmp_path / "sub" / "a.jpg")) == JPEG
    assert fetcher.fetch_span(Span("sub/a.jpg", 2, 5)) == JPEG[2:7]
    assert Fetcher(QUICK).fetch(os.path.relpath(tmp_path / "sub" / "a.jpg")) == JPEG


def test_spans_are_cut_out_of_their_archive(tmp_path):
    archive = tmp_path / "shard.tar"
    archive.write_bytes(b"head" + JPEG + b"tail")
    fetcher = Fetcher(QUICK)
    span = Span(str(archive), 4, len(JPEG))
    assert fetcher.fetch_span(span) == JPEG
    assert fetcher.fetch_row(InputRow("shard.tar#a.jpg", span=span)) == JPEG
    with pytest.raises(FetchFailedError) as raised:
        fetcher.fetch_span(Span(str(archive), 4, len(JPEG) + 10))
    assert type(raised.value.__cause__).__name__ == "ShortArchiveError"
    assert str(raised.value.__cause__) == (
        f"{archive} ends 6 bytes before the image that lies at 4 does; it may be cut off"
    )
    assert (raised.value.attempts, raised.value.transient) == (1, False)


@pytest.mark.parametrize(
    ("path", "error_type", "message", "attempts"),
    [
        ("missing.jpg", "HttpStatusError", "HTTP 404 Not Found", 1),
        ("forbidden.jpg", "HttpStatusError", "HTTP 403 Forbidden", 1),
        ("broken.jpg", "HttpStatusError", "HTTP 503 Service Unavailable", 2),
        ("trickle.jpg", "FetchTimeoutError", "within 0.4 s", 2),
        ("drip.jpg", "FetchTimeoutError", "no answer within 0.4 s", 2),
        ("slow.jpg", "FetchTimeoutError", "no answer within 0.4 s", 2),
        ("short.jpg", "BrokenConnectionError", "broken off: IncompleteRead(100 bytes read", 2),
        ("reset.jpg", "BrokenConnectionError", "Connection reset by peer", 2),
        ("hangup.jpg", "BrokenConnectionError", "broken off: the server closed the connection", 2),
        ("badchunk.jpg", "BrokenConnectionError", "broken off: ", 2),
        ("nonsense.jpg", "BadAnswerError", "not an HTTP answer: ", 1),
        ("badzip.jpg", "BadAnswerError", "not an HTTP answer: ", 1),
        ("to.jpg?file:///etc/passwd", "BadAnswerError", "which is not http(s)", 1),
        ("to.jpg?http://[::1", "BadUrlError", "not a URL that can be asked for", 1),
        ("loop.jpg", "TooManyRedirectsError", "more than 5 redirects; --max_redirects", 1),
        ("hop/6", "TooManyRedirectsError", "more than 5 redirects; --max_redirects", 1),
    ],
)
def test_what_may_pass_is_tried_again_and_what_will_not_is_not(
    web, path, error_type, message, attempts
):
    start = time.monotonic()
    found = failure_of(web.url(path))
    assert (found[0], found[2:]) == (error_type, (attempts, attempts == 2))
    assert message in found[1]
    assert " object at 0x" not in found[1]
    assert time.monotonic() - start < 4
    if error_type != "TooManyRedirectsError":
        assert list(web.requests.values()) == [attempts]


def test_redirects_are_counted_up_to_the_limit(web):
    def limited(most: int) -> FetchConfig:
        return FetchConfig(max_redirects=most, allow_private_addresses=True)

    assert Fetcher(limited(3)).fetch(web.url("hop/3")) == JPEG
    assert failure_of(web.url("hop/3"), limited(2))[0] == "TooManyRedirectsError"
    assert Fetcher(limited(0)).fetch(web.url("photo.jpg")) == JPEG
    assert failure_of(web.url("moved.jpg"), limited(0))[:2] == (
        "TooManyRedirectsError",
        "more than 0 redirects; --max_redirects sets the limit",
    )


def test_a_closed_port_is_tried_again():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert failure_of(f"http://127.0.0.1:{port}/a.jpg") == (
        "BrokenConnectionError",
        f"no connection to 127.0.0.1 at 127.0.0.1 port {port}: Connection refused",
        2,
        True,
    )


def test_a_host_that_does_not_answer_at_all_is_given_up_in_time():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.create_connection(address):  # All that the queue takes.
            found = failure_of(f"http://127.0.0.1:{address[1]}/a.jpg")
    assert found[0::2] == ("FetchTimeoutError", 2)


@pytest.mark.parametrize(
    "url", ["http://", "http://a b/c", "http://x:99999/", "http://" + "a" * 70 + ".org/"]
)
def test_what_is_no_url_is_a_failure_of_its_own(url):
    assert failure_of(url)[0::2] == ("BadUrlError", 1)


def test_too_many_bytes_are_refused_while_they_come(web, tmp_path):
    path = tmp_path / "big.jpg"
    path.write_bytes(JPEG)

    def limited(limit: int) -> FetchConfig:
        return FetchConfig(max_image_bytes=limit, allow_private_addresses=True)

    limit = len(JPEG) - 1
    message = f"more than {limit} bytes; --max_image_bytes sets the limit"
    for uri in (str(path), *map(web.url, ("photo.jpg", "packed.jpg", "endless.jpg", "bomb.jpg"))):
        assert failure_of(uri, limited(limit)) == ("TooManyBytesError", message, 1, False)
    exact = Fetcher(limited(len(JPEG)))
    assert exact.fetch(str(path)) == exact.fetch(web.url("photo.jpg")) == JPEG
    assert exact.fetch_span(Span(str(path), 0, len(JPEG))) == JPEG
    with pytest.raises(FetchFailedError):
        Fetcher(limited(limit)).fetch_span(Span(str(path), 0, len(JPEG)))


def test_files_that_cannot_be_read_fail_at_once(tmp_path):
    assert failure_of(str(tmp_path / "no.jpg"))[::2] == ("FileNotFoundError", 1)
    assert failure_of(str(tmp_path))[::2] == ("IsADirectoryError", 1)
    assert failure_of("nosuch://bucket/a.jpg")[::2] == ("ValueError", 1)
    assert failure_of(str(tmp_path / "no.jpg"))[3] is False


@pytest.mark.parametrize(("asked", "least_secs"), [("1", 1.0), ("date", 1.0), ("soon", 0.5)])
def test_a_server_that_says_when_is_asked_again_then(web, asked, least_secs):
    start = time.monotonic()
    assert Fetcher(QUICK).fetch(web.url(f"later.jpg?{asked}")) == JPEG
    assert least_secs <= time.monotonic() - start < 4


def test_a_server_that_asks_for_hours_is_left_to_another_run(web):
    found = failure_of(web.url("later.jpg?7200"))
    assert found == ("HttpStatusError", "HTTP 429 Too Many Requests", 1, True)


@pytest.mark.parametrize(
    "tags", ["noai", "x, NoImageAI", "otherbot: all\nnoindex", f"{USER_AGENT}: noimageindex"]
)
def test_what_the_server_forbids_is_not_read_unless_told_so(web, tags):
    url = web.url("robots.jpg?" + tags.replace("\n", "%0A").replace(" ", "%20"))
    error_type, message, attempts, transient = failure_of(url)
    assert (error_type, attempts, transient) == ("RobotsDisallowedError", 1, False)
    assert message.startswith("X-Robots-Tag: no")
    heedless = FetchConfig(respect_robots_tag=False, allow_private_addresses=True)
    assert Fetcher(heedless).fetch(url) == JPEG


def test_what_is_said_to_others_does_not_concern_us(web):
    url = web.url("robots.jpg?otherbot:%20noai,%20noindex%0Anofollow")
    assert Fetcher(QUICK).fetch(url) == JPEG


def test_requests_say_who_asks_and_keep_no_cookies(web):
    fetcher = Fetcher(QUICK)
    headers = [json.loads(fetcher.fetch(web.url("echo.json"))) for _ in range(2)][1]
    assert headers["user-agent"] == "batch-image-captioning"
    assert sorted(headers) == ["accept", "accept-encoding", "connection", "host", "user-agent"]


def test_the_environments_proxy_is_used_only_where_all_addresses_are_allowed(web, monkeypatch):
    monkeypatch.setenv("http_proxy", web.url("").rstrip("/"))
    monkeypatch.delenv("no_proxy", raising=False)
    url = "http://photos.invalid/photo.jpg"
    assert Fetcher(QUICK).fetch(url) == JPEG
    assert web.requests == {url: 1}
    strict = Fetcher(FetchConfig(attempts=1), lambda _: True)
    with pytest.raises(FetchFailedError):
        strict.fetch(url)
    assert web.requests == {url: 1}


def test_passwords_of_netrc_stay_here_where_addresses_are_checked(web, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password SESAME\n")
    monkeypatch.setenv("NETRC", str(netrc))
    strict = Fetcher(FetchConfig(attempts=1), lambda _: True)
    assert "authorization" not in json.loads(strict.fetch(web.url("echo.json")))
    assert "authorization" in json.loads(Fetcher(QUICK).fetch(web.url("echo.json")))


@pytest.mark.parametrize("path", ["stall.jpg", "broken.jpg"])
def test_a_read_can_be_broken_off_while_it_waits(web, path):
    config = FetchConfig(timeout_secs=60, attempts=9, allow_private_addresses=True)
    fetcher = Fetcher(config)
    failed: list[FetchFailedError] = []

    def read() -> None:
        try:
            fetcher.fetch(web.url(path))
        except FetchFailedError as error:
            failed.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    while not web.requests:
        time.sleep(0.01)
    time.sleep(0.1)
    fetcher.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert [type(error.__cause__).__name__ for error in failed] == ["ReadStoppedError"]
    assert failed[0].transient is True
