"""What the first bytes of an image say: its format and its size, before a frame is allocated."""

import struct

from model_lib.errors import EmptyImageError, OversizedImageError, UnknownImageFormatError

_BMP_HEADER_BYTES = (12, 40, 52, 56, 64, 108, 124)
_WEBP_CHUNKS = (b"VP8 ", b"VP8L", b"VP8X")


def sniff_format(data: bytes) -> str:
    r"""Tells an image's format by its first bytes.

    `b"\xff\xd8\xff\xe0..."` -> `"jpeg"`; `b"<!DOCTYPE html>..."` -> `UnknownImageFormatError`.

    Args:
        data: the encoded bytes; the first 18 suffice.

    Returns:
        `jpeg`, `png`, `webp`, `gif` or `bmp`.

    Raises:
        EmptyImageError: if there are no bytes.
        UnknownImageFormatError: if they begin as none of the five formats.
    """
    if not data:
        raise EmptyImageError("the image has 0 bytes: upload or download it again")
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP" and data[12:16] in _WEBP_CHUNKS:
        return "webp"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_BYTES:
        return "bmp"
    raise UnknownImageFormatError(
        f"the {len(data):,} bytes begin with {data[:16]!r}, which is none of JPEG, PNG, WebP, GIF "
        "and BMP: convert the image to one of these, or check that the address gives an image"
    )


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Checks what a header announces.

    Args:
        width: in pixels.
        height: in pixels.
        max_pixels: most of them, inclusive.

    Raises:
        OversizedImageError: where there are more.
    """
    if width * height > max_pixels:
        raise OversizedImageError(
            f"the header announces {width} x {height} = {width * height:,} pixels, above the limit "
            f"of {max_pixels:,}: shrink the image or raise max_pixels"
        )


def check_announced_size(image_format: str, data: bytes, max_pixels: int) -> None:
    """Checks the size where Pillow allocates a whole frame as soon as it opens the file.

    Args:
        image_format: as `sniff_format` tells it; `jpeg` and `bmp` are not checked.
        data: the encoded bytes.
        max_pixels: as for `check_size`.

    Raises:
        OversizedImageError: where the header announces more pixels.
        struct.error: where the header is cut short.
    """
    if image_format == "png":
        width, height = struct.unpack_from(">II", data, 16)
    elif image_format == "gif":
        width, height = struct.unpack_from("<HH", data, 6)
    elif image_format == "webp":
        width, height = _webp_size(data)
    else:
        return
    check_size(width, height, max_pixels)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Reads width and height of the first chunk (RFC 9649, sections 2.5 to 2.7)."""
    if data[12:16] == b"VP8X":  # two 24-bit numbers, each one less than the size
        width, height = (int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return width + 1, height + 1
    if data[12:16] == b"VP8L":  # 14 bits each behind a signature byte, each one less
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)  # the two top bits ask for scaling
    return width & 0x3FFF, height & 0x3FFF
