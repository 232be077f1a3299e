"""Headers read by TensorFlow operations, against what Pillow wrote."""

import struct

import pytest
import tensorflow as tf

from model_lib import graph_headers
from model_lib.graph_headers import BMP, GIF, JPEG, PNG, UNKNOWN, Octets
from tests.images import (
    broken_images,
    encoded,
    good_images,
    raw_png,
    sample_image,
    with_orientation,
)

FORMATS = {"jpg": JPEG, "png": PNG, "gif": GIF, "bmp": BMP, "webp": UNKNOWN}


def octets(data: bytes) -> Octets:
    return Octets(tf.constant(data))


def with_exif(data: bytes, tiff: bytes) -> bytes:
    """Puts an EXIF segment behind the first two bytes of a JPEG."""
    content = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]


def tiff(order: str, *entries: tuple[int, int], offset: int = 8, count: int | None = None) -> bytes:
    """A TIFF header with a directory of SHORT values: (tag, value) each."""
    mark = {"<": b"II", ">": b"MM"}[order]
    directory = struct.pack(order + "H", len(entries) if count is None else count)
    for tag, value in entries:
        directory += struct.pack(order + "HHIHH", tag, 3, 1, value, 0)
    return mark + struct.pack(order + "HI", 42, offset) + bytes(offset - 8) + directory


@pytest.mark.parametrize("name", good_images())
def test_formats(name: str) -> None:
    kind = graph_headers.sniff_format(octets(good_images()[name]))
    assert int(kind) == FORMATS[name.rpartition(".")[2]]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8", b"BM", b"BMW is a maker of cars and motorcycles", b"GIF88a", b"\x89PNG"],
)
def test_unknown_formats(data: bytes) -> None:
    assert int(graph_headers.sniff_format(octets(data))) == UNKNOWN


def test_numbers_of_both_orders_and_zeros_beyond_the_end() -> None:
    data = octets(b"\x01\x02\x03\xff")
    place = tf.constant([0, 2, 3, 9, -2])
    assert data.number(place, 2, True).numpy().tolist() == [0x0201, 0xFF03, 0xFF, 0, 0]
    assert data.number(place, 2, False).numpy().tolist() == [0x0102, 0x03FF, 0xFF00, 0, 0]


def test_sizes() -> None:
    photo = sample_image(70, 300)
    for name, size in (("PNG", graph_headers.png_size), ("GIF", graph_headers.gif_size)):
        assert [int(side) for side in size(octets(encoded(photo, name)))] == [70, 300]
    bmp = encoded(photo, "BMP")
    assert [int(side) for side in graph_headers.bmp_size(octets(bmp))] == [70, 300]
    from_the_top = bmp[:22] + struct.pack("<i", -300) + bmp[26:]
    assert [int(side) for side in graph_headers.bmp_size(octets(from_the_top))] == [70, 300]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rgb.png", False),
        ("rgba.png", True),
        ("grey_alpha_16_bit.png", True),
        ("palette.png", False),
        ("palette_transparent.png", True),
        ("animated.png", False),
    ],
)
def test_transparency_of_a_png(name: str, expected: bool) -> None:
    assert bool(graph_headers.png_has_transparency(octets(good_images()[name]))) is expected


def test_a_png_with_a_chunk_beyond_its_end_has_no_transparency() -> None:
    png = raw_png(4, 4, 8, 2, None)
    endless = png[:33] + b"\xff\xff\xff\xff" + b"gAMA" + bytes(8)
    assert not bool(graph_headers.png_has_transparency(octets(endless)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_that_pillow_wrote(orientation: int) -> None:
    header = graph_headers.read_jpeg_header(
        octets(with_orientation(sample_image(60, 40), orientation, "JPEG"))
    )
    assert [int(header.width), int(header.height)] == [60, 40]
    assert int(header.orientation) == orientation
    assert bool(header.is_complete)


@pytest.mark.parametrize(
    ("exif", "expected"),
    [
        (tiff("<", (0x010F, 9), (0x0112, 6)), 6),
        (tiff(">", (0x0112, 3), (0x0213, 1)), 3),
        (tiff(">", (0x0112, 8), offset=20), 8),
        (tiff("<", (0x010F, 6)), 1),
        (tiff("<", (0x0112, 9)), 1),
        (tiff("<", (0x0112, 0)), 1),
        (tiff("<"), 1),
        (tiff("<", count=65_535), 1),
        (b"II*\0\xff\xff\xff\x7f", 1),
        (b"II*\0\xff\xff\xff\xff", 1),
        (b"", 1),
    ],
    ids=["little", "big", "later", "absent", "9", "0", "empty", "endless", "far", "negative", "no"],
)
def test_orientation_of_exif_data(exif: bytes, expected: int) -> None:
    header = graph_headers.read_jpeg_header(octets(with_exif(good_images()["rgb.jpg"], exif)))
    assert int(header.orientation) == expected


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_photo() -> None:
    jpeg = good_images()["rgb.jpg"]
    with_thumbnail = with_exif(jpeg, tiff("<", (0x0112, 6)) + jpeg)
    assert bool(graph_headers.read_jpeg_header(octets(with_thumbnail)).is_complete)
    assert not bool(graph_headers.read_jpeg_header(octets(with_thumbnail[:-30])).is_complete)


@pytest.mark.parametrize("name", ["cut.jpg", "cut_header.jpg", "cut_progressive.jpg", "empty.jpg"])
def test_jpegs_that_end_early(name: str) -> None:
    assert not bool(graph_headers.read_jpeg_header(octets(broken_images()[name])).is_complete)


def test_fill_bytes_and_bytes_between_segments_are_passed_over() -> None:
    jpeg = with_orientation(sample_image(60, 40), 6, "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    header = graph_headers.read_jpeg_header(octets(jpeg[:frame] + b"\0\1\xff\xff" + jpeg[frame:]))
    assert [int(header.width), int(header.height)] == [60, 40]
    assert (int(header.orientation), bool(header.is_complete)) == (6, True)
