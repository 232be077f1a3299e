import pytest

from beam_jobs.config import FetchConfig
from beam_jobs.fetching.errors import FetchTimeoutError, HttpStatusError, ReadStoppedError
from beam_jobs.fetching.http_reader import HttpReader
from tests.beam_jobs.conftest import JPEG

SETTINGS = FetchConfig(timeout_secs=2.0)


def nothing(_: str) -> None:
    pass


@pytest.fixture
def reader():
    made = HttpReader(SETTINGS, None)
    yield made
    made.close()


def test_every_url_is_told_before_it_is_asked_for(web, reader):
    told: list[tuple[str, int]] = []
    url = web.url("to.jpg?/hop/2")
    data = reader.read(url, lambda asked: told.append((asked, sum(web.requests.values()))))
    assert data == JPEG
    expected = [url, *map(web.url, ("hop/2", "hop/1", "photo.jpg"))]
    assert told == list(zip(expected, range(4), strict=True))


class EnoughError(Exception):
    pass


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../photo.jpg", "photo.jpg"),
        ("?../photo.jpg", "to.jpg?../photo.jpg"),
        ("//127.0.0.1:9/a%2520b.jpg", "//127.0.0.1:9/a%20b.jpg"),
        ("%C3%A9.jpg", "é.jpg"),  # Sent as UTF-8.
        ("latin%C3%83%C2%A9.jpg", "latinÃ©.jpg"),
        ("%FF.jpg", "\ufffd.jpg"),
    ],
)
def test_redirects_may_be_relative_and_need_not_be_ascii(web, reader, location, expected):
    told: list[str] = []

    def stop_at_the_second(url: str) -> None:
        told.append(url)
        if len(told) == 2:
            raise EnoughError

    with pytest.raises(EnoughError):
        reader.read(web.url(f"to.jpg?{location}"), stop_at_the_second)
    assert told[1] == (f"http:{expected}" if expected[0] == "/" else web.url(expected))


def test_a_redirect_in_latin_1_is_taken_as_such(web, reader):
    told: list[str] = []
    with pytest.raises(HttpStatusError):
        reader.read(web.url("latin.jpg"), told.append)
    assert told[1] == web.url("caf\xe9.jpg")


def test_a_connection_is_kept_for_the_next_read_and_a_dropped_one_is_made_anew(web, reader):
    accepted: list[object] = []
    really = web.server.get_request

    def counted() -> object:
        accepted.append(1)
        return really()

    web.server.get_request = counted
    for path in ("photo.jpg", "packed.jpg", "missing.jpg", "photo.jpg"):
        try:
            reader.read(web.url(path), nothing)
        except HttpStatusError:
            assert path == "missing.jpg"
    # What came with the status 404 is not read, so that its connection is not used again.
    assert len(accepted) == 2


def test_a_redirects_body_is_not_read(web, reader):
    assert reader.read(web.url("flood.jpg"), nothing) == JPEG


def test_a_status_says_how_long_to_wait(web, reader):
    with pytest.raises(HttpStatusError) as raised:
        reader.read(web.url("later.jpg?17"), nothing)
    assert (raised.value.status, raised.value.retry_after_secs) == (429, 17.0)
    with pytest.raises(HttpStatusError) as raised:
        reader.read(web.url("missing.jpg"), nothing)
    assert (raised.value.status, raised.value.retry_after_secs) == (404, 0.0)


def test_redirects_share_the_time_limit_of_one_read(web):
    reader = HttpReader(FetchConfig(timeout_secs=0.5), None)
    with pytest.raises(FetchTimeoutError, match=r"no answer within 0\.5 s"):
        reader.read(web.url("to.jpg?/nap.jpg?0.8"), nothing)
    reader.close()


def test_a_stopped_reader_reads_no_more(web, reader):
    assert reader.read(web.url("photo.jpg"), nothing) == JPEG
    reader.stop()
    with pytest.raises(ReadStoppedError):
        reader.read(web.url("photo.jpg"), nothing)
