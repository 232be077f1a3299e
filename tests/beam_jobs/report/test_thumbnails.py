import base64
import hashlib
import io
import threading

import pytest
from PIL import Image

from beam_jobs.fetching.fetcher import FetchFailedError
from beam_jobs.report.thumbnails import Thumbnail, ThumbnailConfig, make_thumbnail, read_thumbnails
from model_lib.errors import TruncatedImageError
from tests.beam_jobs.run_folder import photo
from tests.images import BROKEN_IMAGE_ERRORS, broken_images, good_images

CONFIG = ThumbnailConfig(side=100)


def decoded(thumbnail: Thumbnail) -> Image.Image:
    prefix, text = thumbnail.data_uri.split(",", 1)
    assert prefix == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(text, validate=True)))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((400, 300), (100, 75)), ((300, 1200), (25, 100)), ((60, 40), (60, 40)), ((900, 1), (100, 1))],
)
def test_keeps_the_aspect_and_never_enlarges(size, expected):
    thumbnail = make_thumbnail(photo(1, size), CONFIG)
    assert (thumbnail.width, thumbnail.height) == expected
    assert decoded(thumbnail).size == expected


def test_shows_the_same_picture():
    data = photo(2)
    original = Image.open(io.BytesIO(data)).resize((100, 75), Image.Resampling.BOX)
    small = decoded(make_thumbnail(data, CONFIG))
    for at in ((10, 10), (50, 40), (35, 60)):
        assert original.getpixel(at) == pytest.approx(small.getpixel(at), abs=12)


@pytest.mark.parametrize("name", sorted(good_images()))
def test_every_format_that_is_captioned_has_a_preview(name):
    assert decoded(make_thumbnail(good_images()[name], CONFIG)).mode == "RGB"


def test_a_damaged_photo_raises_where_one_is_made():
    with pytest.raises(TruncatedImageError):
        make_thumbnail(photo(1)[:900], CONFIG)


def test_every_broken_photo_gives_its_reason_and_costs_no_other():
    photos = {**broken_images(), "good.jpg": photo(1)}
    thumbnails = read_thumbnails(dict.fromkeys(photos, ""), photos.__getitem__, CONFIG)
    problems = {uri: thumbnail.problem for uri, thumbnail in thumbnails.items()}
    assert problems.pop("good.jpg") == ""
    assert problems == {
        name: f"cannot be read again ({error})" for name, error in BROKEN_IMAGE_ERRORS.items()
    }


def test_the_reason_is_what_stopped_the_last_attempt():
    def read_bytes(uri: str) -> bytes:
        raise FetchFailedError(3) from TimeoutError(uri)

    thumbnails = read_thumbnails({"a": ""}, read_bytes, CONFIG)
    assert thumbnails == {"a": Thumbnail(problem="cannot be read again (TimeoutError)")}


def test_a_photo_that_has_changed_gets_no_preview():
    photos = {"same": photo(1), "changed": photo(2)}
    digest = hashlib.sha256(photo(1)).hexdigest()
    thumbnails = read_thumbnails(dict.fromkeys(photos, digest), photos.__getitem__, CONFIG)
    assert thumbnails["same"].data_uri
    assert thumbnails["changed"].problem == "the photo has changed since it was captioned"


def test_reading_starts_for_no_photo_after_the_time_limit():
    wait = threading.Event()

    def read_bytes(uri: str) -> bytes:
        wait.wait(0.3)
        return photo(1)

    config = ThumbnailConfig(num_threads=2, time_limit_secs=0.2)
    thumbnails = read_thumbnails(dict.fromkeys("abcdef", ""), read_bytes, config)
    assert [bool(thumbnail.data_uri) for thumbnail in thumbnails.values()] == [True] * 2 + [
        False
    ] * 4
    assert thumbnails["f"].problem == "not read: the time limit for previews was reached"


def test_no_photo_is_read_where_none_is_wanted():
    config = ThumbnailConfig(wanted=False)
    thumbnails = read_thumbnails({"a": ""}, pytest.fail, config)
    assert thumbnails == {"a": Thumbnail(problem="previews were not asked for")}
