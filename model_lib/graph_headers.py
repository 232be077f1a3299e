"""What an image's bytes say of it before its pixels are decoded, in TensorFlow operations.

Takes the bytes of one image as a vector; returns its format, size and EXIF orientation as
tensors. For exported graphs, in which Pillow and Python cannot be. Nothing here fails for
damaged bytes: what lies beyond the end reads as zero.

Legend: n bytes.
"""

from typing import Any, NamedTuple

import tensorflow as tf

JPEG, PNG, GIF, BMP, UNKNOWN = range(5)

_START_OF_IMAGE = b"\xff\xd8\xff"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ORIENTATION_TAG = 0x0112
_EXIF = b"Exif\0\0"
# Markers of a frame header are C0 to CF; these three of them are tables.
_NO_FRAMES = (0xC4, 0xC8, 0xCC)
_SCAN, _APP1, _END = 0xDA, 0xE1, 0xD9


class JpegHeader(NamedTuple):
    """What the segments before the first scan say.

    Attributes:
        width: as stored in pixels, int32; 0 where there is no frame header.
        height: as stored in pixels, int32.
        orientation: of the EXIF data, 1 to 8, int32; 1 without any.
        is_complete: bool, whether the mark of the image's end follows the first scan.
    """

    width: Any
    height: Any
    orientation: Any
    is_complete: Any


class Octets:
    """The bytes of a file, read at any position."""

    def __init__(self, encoded: Any) -> None:
        """Takes the file.

        Args:
            encoded: string scalar.
        """
        self.values = tf.io.decode_raw(encoded, tf.uint8)
        self.count = tf.size(self.values)
        # One zero more, so that an empty file can be read too.
        self._padded = tf.concat([self.values, tf.zeros([1], tf.uint8)], axis=0)

    def at(self, places: Any) -> Any:
        """Returns the bytes at places as int32; 0 beyond the end."""
        is_beyond = (places < 0) | (places >= self.count)
        return tf.cast(tf.gather(self._padded, tf.where(is_beyond, self.count, places)), tf.int32)

    def number(self, place: Any, size: int, is_little: Any) -> Any:
        """Returns unsigned numbers of 2 to 4 bytes as int32; those of 2**31 or more are negative.

        Args:
            place: of the first byte, int32 of any shape.
            size: bytes.
            is_little: whether the least byte comes first, a bool or a tensor.
        """
        big = little = tf.zeros_like(place)
        for index in range(size):
            octet = self.at(place + index)
            big = big * 256 + octet
            little += tf.bitwise.left_shift(octet, 8 * index)
        return tf.where(is_little, little, big)

    def starts(self, place: Any, prefix: bytes) -> Any:
        """Returns whether the bytes from a place on are these, bool."""
        found = self.at(place + tf.range(len(prefix)))
        return tf.reduce_all(found == tf.constant(list(prefix)))


def sniff_format(octets: Octets) -> Any:
    """Returns the format int32 by the first bytes: `JPEG` ... `UNKNOWN`."""
    is_gif = octets.starts(0, b"GIF87a") | octets.starts(0, b"GIF89a")
    # The size of the second header, of which TensorFlow reads the newer ones.
    bmp_header = octets.number(tf.constant(14), 4, True)
    is_bmp = octets.starts(0, b"BM") & (bmp_header >= 40) & (bmp_header <= 124)
    kind = tf.where(is_bmp, BMP, UNKNOWN)
    kind = tf.where(is_gif, GIF, kind)
    kind = tf.where(octets.starts(0, _PNG_SIGNATURE), PNG, kind)
    return tf.where(octets.starts(0, _START_OF_IMAGE), JPEG, kind)


def png_size(octets: Octets) -> tuple[Any, Any]:
    """Returns width and height int32 of a PNG."""
    return octets.number(tf.constant(16), 4, False), octets.number(tf.constant(20), 4, False)


def png_has_transparency(octets: Octets) -> Any:
    """Returns whether a PNG has an alpha channel or, before its pixels, a `tRNS` chunk; bool."""

    def is_before_pixels(at: Any, found: Any) -> Any:
        is_pixels = octets.starts(at + 4, b"IDAT")
        return ~found & ~is_pixels & (at >= 0) & (at < octets.count)

    def body(at: Any, found: Any) -> tuple[Any, Any]:
        del found
        after = at + 12 + tf.maximum(octets.number(at, 4, False), 0)
        return after, octets.starts(at + 4, b"tRNS")

    colour_type = octets.at(tf.constant(25))
    has_alpha = (colour_type == 4) | (colour_type == 6)
    start = tf.constant(len(_PNG_SIGNATURE))
    return tf.while_loop(is_before_pixels, body, (start, has_alpha))[1]


def gif_size(octets: Octets) -> tuple[Any, Any]:
    """Returns width and height int32 of a GIF's canvas."""
    return octets.number(tf.constant(6), 2, True), octets.number(tf.constant(8), 2, True)


def bmp_size(octets: Octets) -> tuple[Any, Any]:
    """Returns width and height int32 of a BMP, whose rows may be stored from the top."""
    height = octets.number(tf.constant(22), 4, True)
    return octets.number(tf.constant(18), 4, True), tf.abs(height)


def read_jpeg_header(octets: Octets) -> JpegHeader:
    """Walks through a JPEG's segments up to the first scan (ITU-T T.81, annex B)."""

    def body(at: Any, width: Any, height: Any, exif: Any, scan: Any) -> tuple[Any, ...]:
        kind = octets.at(at + 1)
        is_mark = (octets.at(at) == 0xFF) & (kind != 0xFF) & (kind != 0)
        is_frame = is_mark & (kind >= 0xC0) & (kind <= 0xCF)
        for other in _NO_FRAMES:
            is_frame &= kind != other
        is_exif = is_mark & (kind == _APP1) & (exif == 0) & octets.starts(at + 4, _EXIF)
        has_length = is_mark & ~((kind >= 0xD0) & (kind <= 0xD8)) & (kind != 1)
        after = at + 2 + tf.where(has_length, octets.number(at + 2, 2, False), 0)
        return (
            tf.where(is_mark, after, at + 1),
            tf.where(is_frame, octets.number(at + 7, 2, False), width),
            tf.where(is_frame, octets.number(at + 5, 2, False), height),
            tf.where(is_exif, at + 4 + len(_EXIF), exif),
            tf.where(is_mark & (kind == _SCAN), after, scan),
        )

    zero = tf.constant(0)
    _, width, height, exif, scan = tf.while_loop(
        lambda at, width, height, exif, scan: (scan == 0) & (at < octets.count),
        body,
        (tf.constant(2), zero, zero, zero, zero),
    )
    rest = octets.values[tf.minimum(scan, octets.count) :]
    ends = tf.reduce_any((rest[:-1] == 0xFF) & (rest[1:] == _END))
    orientation = tf.where(exif > 0, _orientation(octets, exif), 1)
    return JpegHeader(width, height, orientation, (scan > 0) & ends)


def _orientation(octets: Octets, start: Any) -> Any:
    """Reads the orientation 1 to 8, int32, from EXIF data; damaged data counts as upright.

    Args:
        octets: of the file.
        start: of the TIFF header (TIFF 6.0, section 2), int32.
    """
    is_little = octets.at(start) == ord("I")
    directory = start + octets.number(start + 4, 4, is_little)
    count = octets.number(directory, 2, is_little)
    entries = directory + 2 + 12 * tf.range(count)
    is_orientation = octets.number(entries, 2, is_little) == _ORIENTATION_TAG
    values = tf.boolean_mask(octets.number(entries + 8, 2, is_little), is_orientation)
    value = tf.concat([values, [1]], axis=0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)
