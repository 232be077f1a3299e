"""Plain JPEGs without Pillow: what comes out is what Pillow gives, in every bit."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model_lib import image_decoding
from model_lib.errors import ImageError, OversizedImageError
from model_lib.image_decoding import DEFAULT_MAX_PIXELS, RgbFrame, decode_frame
from model_lib.jpeg_decoding import (
    decode_plain_jpeg,
    divisor_of,
    may_be_turned,
    plain_jpeg_size,
)
from tests.images import encoded, good_images, sample_image, with_edits, with_orientation

SUBSAMPLINGS = {"444": 0, "422": 1, "420": 2}
ODD_SIZE = (397, 301)


def photo(size: tuple[int, int] = ODD_SIZE) -> Image.Image:
    """Returns a picture with noise, in which no two decoders agree by chance."""
    noise = np.random.default_rng(7).integers(-40, 40, (size[1], size[0], 3))
    pixels = np.asarray(sample_image(*size)).astype(int) + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@contextmanager
def pillow_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_decoding, "plain_jpeg_size", lambda data: None)
        yield


def frame_or_error(data: bytes, smallest: tuple[int, int] | None) -> RgbFrame | type[ImageError]:
    try:
        return decode_frame(data, 10**6, None if smallest is None else lambda *_: smallest)
    except ImageError as error:
        return type(error)


def assert_as_pillow(data: bytes, smallest: tuple[int, int] | None = None) -> RgbFrame | None:
    """Compares with what Pillow alone makes of the bytes; returns the frame, if there is one."""
    found = frame_or_error(data, smallest)
    with pillow_only():
        expected = frame_or_error(data, smallest)
    if not isinstance(found, RgbFrame) or not isinstance(expected, RgbFrame):
        assert found == expected
        return None
    assert isinstance(expected.raster, Image.Image)
    assert (found.width, found.height, found.format) == (
        expected.width,
        expected.height,
        expected.format,
    )
    assert (found.size, found.content) == (expected.size, expected.content)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    return found


@pytest.mark.parametrize("name", ["rgb.jpg", "progressive.jpg", "rotated.jpg"])
def test_size_of_a_plain_jpeg(name: str) -> None:
    data = good_images()[name]
    assert plain_jpeg_size(data) == Image.open(io.BytesIO(data)).size


def test_other_jpegs_are_left_to_pillow() -> None:
    images = good_images()
    grey, cut = encoded(photo().convert("L"), "JPEG"), images["rgb.jpg"][:100]
    others = [images["cmyk_adobe.jpg"], images["cmyk_plain.jpg"], grey, cut]
    assert [plain_jpeg_size(data) for data in others] == [None] * 4


@pytest.mark.parametrize(
    ("size", "smallest", "divisor"),
    [
        ((3000, 2000), (299, 299), 4),
        ((640, 480), (224, 224), 2),
        ((640, 480), (80, 60), 8),
        ((640, 480), (80, 61), 4),
        ((447, 448), (224, 224), 1),
        ((10, 10), (224, 224), 1),
        ((9000, 9000), (1, 1), 8),
    ],
)
def test_divisors_leave_the_smallest_size(
    size: tuple[int, int], smallest: tuple[int, int], divisor: int
) -> None:
    assert divisor_of(size, smallest) == divisor
    drafted = Image.open(io.BytesIO(encoded(Image.new("RGB", size), "JPEG")))
    drafted.draft(None, smallest)
    assert drafted.size == tuple(-(-side // divisor) for side in size)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("divisor", [1, 2, 4, 8])
def test_pixels_are_pillows(subsampling: str, progressive: bool, divisor: int) -> None:
    data = encoded(photo(), "JPEG", subsampling=SUBSAMPLINGS[subsampling], progressive=progressive)
    pixels = decode_plain_jpeg(data, ODD_SIZE, divisor)
    assert pixels is not None
    assert not pixels.flags.writeable
    with Image.open(io.BytesIO(data)) as image:
        image.draft(None, tuple(side // divisor for side in ODD_SIZE))
        np.testing.assert_array_equal(pixels, np.asarray(image))


def test_a_damaged_jpeg_is_left_to_pillow() -> None:
    data = encoded(photo(), "JPEG")
    assert decode_plain_jpeg(data[:-2000], ODD_SIZE, 1) is None
    assert decode_plain_jpeg(data[:-2] + b"\0\0" + data[-2:], ODD_SIZE, 1) is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("smallest", [None, (90, 70), (49, 37)])
def test_turned_frames_are_pillows(orientation: int, smallest: tuple[int, int] | None) -> None:
    data = with_orientation(photo(), orientation, "JPEG")
    frame = assert_as_pillow(data, smallest)
    assert frame is not None
    assert isinstance(frame.raster, Image.Image if orientation > 1 else np.ndarray)


def test_only_jpegs_with_exif_or_xmp_may_be_turned() -> None:
    plain = encoded(photo(), "JPEG", comment=b"Exif", icc_profile=b"\xff\xda\xff\xe1")
    assert not may_be_turned(plain)
    assert may_be_turned(with_orientation(photo(), 1, "JPEG"))
    assert may_be_turned(encoded(photo(), "JPEG", xmp=b"<x/>"))
    # Where the walk from segment to segment comes to no end, Pillow is asked.
    assert may_be_turned(plain[:2] + b"\xff" + plain[2:])
    assert [may_be_turned(plain[:end]) for end in (3, 5, 20, 60)] == [True] * 4


def test_an_orientation_in_xmp_is_applied() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
    frame = assert_as_pillow(encoded(photo(), "JPEG", xmp=xmp))
    assert frame is not None
    assert (frame.width, frame.height) == ODD_SIZE[::-1]


@pytest.mark.parametrize("factors", [16 * a + b for a in range(1, 5) for b in range(1, 5)])
def test_subsamplings_without_a_name_are_as_pillow_reads_them(factors: int) -> None:
    data = bytearray(encoded(photo((64, 64)), "JPEG", subsampling=0))
    data[data.index(b"\xff\xc0") + 11] = factors  # how often brightness is sampled, 4 bits a side
    assert_as_pillow(bytes(data))


def test_the_limit_of_pixels_holds() -> None:
    data = encoded(photo((1100, 1000)), "JPEG")
    assert frame_or_error(data, (10, 10)) is OversizedImageError
    assert decode_frame(data, DEFAULT_MAX_PIXELS).size == (1100, 1000)


PLAIN = [
    encoded(photo((60, 40)), "JPEG"),
    encoded(photo((60, 40)), "JPEG", progressive=True),
    encoded(photo((60, 40)), "JPEG", subsampling=0, restart_marker_blocks=3),
    with_orientation(photo((60, 40)), 6, "JPEG"),
]


@settings(max_examples=500, deadline=None)
@given(
    data=st.sampled_from(PLAIN),
    edits=st.lists(
        st.tuples(
            st.one_of(st.integers(3, 700), st.integers(3, 5_000)),
            st.integers(0, 5),
            st.binary(max_size=6),
        ),
        max_size=3,
    ),
    smallest=st.sampled_from([None, (20, 12)]),
)
@pytest.mark.filterwarnings("ignore:.*EXIF data:UserWarning")
@pytest.mark.filterwarnings("ignore:Truncated File Read:UserWarning")
@pytest.mark.filterwarnings("ignore:Metadata Warning:UserWarning")
def test_mutated_jpegs_are_as_pillow_reads_them(
    data: bytes, edits: list[tuple[int, int, bytes]], smallest: tuple[int, int] | None
) -> None:
    assert_as_pillow(with_edits(data, edits), smallest)
