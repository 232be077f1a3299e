"""Plain JPEGs to pixels in one call: encoded bytes in, an array out, or None.

Pillow reads a JPEG's markers in Python and makes an array of its own picture in two more steps, and
threads that decode side by side wait for each other there. simplejpeg gives the same pixels, as
both are libjpeg-turbo with its defaults, from one call that leaves Python's lock alone
(docs/performance.md). Plain are files in YCbCr that decode without a warning, nearly all photos.
Of all others (grey, CMYK, damaged) this says None: Pillow decodes them, or names what is wrong.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

_DIVISORS = (8, 4, 2)
_APP1, _START_OF_SCAN = 0xE1, 0xDA
# Markers that have a length behind them; of those that may come before the pixels the others don't.
_SEGMENTS = frozenset((*range(0xC0, 0xD0), *range(0xDB, 0xFF)))


def plain_jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Reads a JPEG's header.

    Args:
        data: bytes that begin as JPEG.

    Returns:
        Width and height in pixels, as stored; None where the file is not plain.
    """
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(data)
    except (ValueError, KeyError):  # damaged; subsampled in a way that it has no name for
        return None
    return (int(width), int(height)) if colors == "YCbCr" else None


def may_be_turned(data: bytes) -> bool:
    """Tells whether a JPEG may have an orientation: EXIF and XMP are in segments of type APP1.

    Args:
        data: bytes that begin as JPEG.

    Returns:
        False where there is no such segment before the pixels; True also where it is not clear.
    """
    at = 2
    while at + 3 < len(data) and data[at] == 0xFF and data[at + 1] in _SEGMENTS:
        if data[at + 1] == _APP1:
            return True
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data[at : at + 2] != bytes((0xFF, _START_OF_SCAN))


def divisor_of(size: tuple[int, int], smallest: tuple[int, int]) -> int:
    """Returns by how much a JPEG's sides may be divided while it is decoded, as Pillow's `draft`.

    `divisor_of((3000, 2000), (299, 299)) == 4`, as 1/8 would be too small.

    Args:
        size: width and height as stored.
        smallest: width and height that must remain.

    Returns:
        8, 4, 2 or 1.
    """
    most = min(size[0] // smallest[0], size[1] // smallest[1])
    return next((divisor for divisor in _DIVISORS if divisor <= most), 1)


def decode_plain_jpeg(
    data: bytes, size: tuple[int, int], divisor: int
) -> npt.NDArray[np.uint8] | None:
    """Decodes a JPEG for which `plain_jpeg_size` has a size.

    Args:
        data: the encoded bytes.
        size: width and height as stored.
        divisor: 1, 2, 4 or 8: a part of the size to decode at, rounded up.

    Returns:
        uint8 [height,width,3], RGB, read-only; None where the file is damaged.
    """
    width, height = (-(-side // divisor) for side in size)
    reduced: dict[str, Any] = {}
    if divisor > 1:
        reduced = {"min_width": width, "min_height": height, "min_factor": divisor}
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB", **reduced)
    except ValueError:
        return None
    if pixels.shape != (height, width, 3):
        return None  # JPEGs without losses cannot be reduced
    pixels.setflags(write=False)
    return pixels
