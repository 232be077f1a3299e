"""Encoded image bytes to an upright 8-bit RGB frame, or an error that names what is wrong.

Takes the bytes of one JPEG, PNG, WebP, GIF or BMP; returns its first frame with the EXIF
orientation applied and transparency laid over white. Raises `ImageError`s only, so bytes from
anywhere are safe to pass in.

How odd files are treated:

- The format is what the first bytes say; a file's name plays no part.
- The pixel limit is checked on the header, before any frame is allocated. Pillow's classes are
  used directly instead of `Image.open`, so its own global limit neither warns nor refuses.
- 16-bit grey is scaled, 65535 -> 255, as `round(v / 257)`. 16-bit colour keeps the high byte,
  which is all that Pillow reads of it; the two differ by one step at most.
- CMYK JPEGs are inverted where an Adobe marker says so, plain otherwise. ICC profiles are ignored.
- Damaged EXIF data counts as upright: the picture itself is whole.
- Every chunk of a PNG is checked against its checksum. JPEG, GIF, WebP and BMP hold none, so
  changed bytes that still decode go unseen, as in any viewer; a file that ends early never does.
  A GIF may end after its first frame, as the others are not read.
- The fourth byte of a plain 32-bit BMP is not transparency (its format reserves it).

Assumes that nothing in the process sets `PIL.ImageFile.LOAD_TRUNCATED_IMAGES`.
"""

import contextlib
import dataclasses
import io
import struct
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageChops,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from model_lib.config import PreprocessConfig
from model_lib.errors import (
    EmptyImageError,
    ImageError,
    OversizedImageError,
    TruncatedImageError,
    UnknownImageFormatError,
)

Pixels = npt.NDArray[np.uint8]

DEFAULT_MAX_PIXELS = PreprocessConfig.max_pixels

_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
}
_BMP_HEADER_BYTES = (12, 40, 52, 56, 64, 108, 124)
_WEBP_CHUNKS = (b"VP8 ", b"VP8L", b"VP8X")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
_LEFT_EDGE_WAS_LAST = (2, 3, 6, 7)  # the left edge was stored as the right or the bottom one
_TOP_EDGE_WAS_LAST = (3, 4, 7, 8)


@dataclasses.dataclass(frozen=True, eq=False)
class DecodedImage:
    """One decoded frame at its full size.

    Attributes:
        pixels: uint8 [height,width,3], RGB, 0..255, read-only.
        width: in pixels, after the EXIF orientation.
        height: in pixels, after the EXIF orientation.
        format: `jpeg`, `png`, `webp`, `gif` or `bmp`.
    """

    pixels: Pixels
    width: int
    height: int
    format: str


@dataclasses.dataclass(frozen=True, eq=False)
class RgbFrame:
    """An upright frame as a Pillow image, possibly smaller than the original.

    Attributes:
        image: of mode RGB; of the original's size, or of a JPEG reduced while decoding.
        content: (left, top, right, bottom) that the original fills, in pixels of `image`. A width
            of 3001 reduced to 1/8 fills 375.125 of 376 pixels; the rest is filling.
        width: of the original in pixels, after the EXIF orientation.
        height: of the original in pixels, after the EXIF orientation.
        format: `jpeg`, `png`, `webp`, `gif` or `bmp`.
    """

    image: Image.Image
    content: tuple[float, float, float, float]
    width: int
    height: int
    format: str


NumberT = TypeVar("NumberT", int, float)
SmallestSize = Callable[[int, int], tuple[int, int]]


def decode_image(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> DecodedImage:
    """Decodes an image at its full size.

    A photo stored as 4000 x 3000 with EXIF orientation 6 gives `width` 3000, `height` 4000 and
    `pixels` of shape [4000,3000,3].

    Args:
        data: the encoded bytes.
        max_pixels: width x height above which the image is refused before decoding.

    Returns:
        The pixels, the size and the format.

    Raises:
        ImageError: one of its subclasses, for whatever is wrong with the bytes.
    """
    frame = decode_frame(data, max_pixels)
    return DecodedImage(np.asarray(frame.image), frame.width, frame.height, frame.format)


def decode_frame(data: bytes, max_pixels: int, smallest: SmallestSize | None = None) -> RgbFrame:
    """Decodes an image, where the format allows only as large as it is needed.

    JPEG can be decoded at 1/2, 1/4 or 1/8 of its size for a fraction of the time. With
    `smallest` giving (299, 299), a 3000 x 2000 JPEG is decoded at 1/4, 750 x 500, as 1/8 would
    be too small; the same bytes always give the same pixels.

    Args:
        data: the encoded bytes.
        max_pixels: width x height above which the image is refused before decoding.
        smallest: given the upright width and height, the smallest width and height that the
            caller can use; None asks for the full size.

    Returns:
        The upright RGB frame.

    Raises:
        ImageError: one of its subclasses, for whatever is wrong with the bytes.
    """
    image_format = sniff_format(data)
    with _named_errors(image_format, len(data)):
        _check_announced_size(image_format, data, max_pixels)
        image = _open(image_format, data)
        _check_size(*image.size, max_pixels)
        if image_format != "jpeg":
            image.load()  # before EXIF is read: PNG may hold it behind the pixels
        orientation = _orientation(image)
        width, height = _turned(image.size, orientation)
        filled: tuple[float, float] = image.size
        if smallest:
            reduced = image.draft(None, _turned(smallest(width, height), orientation))
            filled = reduced[1][2:] if reduced else filled
        image.load()
        upright = _to_rgb(image)
        if orientation in _UPRIGHT:
            upright = upright.transpose(_UPRIGHT[orientation])
    content = _content(upright.size, _turned(filled, orientation), orientation)
    return RgbFrame(upright, content, width, height, image_format)


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


@contextlib.contextmanager
def _named_errors(image_format: str, num_bytes: int) -> Iterator[None]:
    """Turns whatever Pillow raises on damaged bytes into an `ImageError`."""
    try:
        yield
    except (ImageError, MemoryError):
        raise  # too little memory is the machine's fault, not the image's
    except Image.DecompressionBombError as error:
        raise OversizedImageError(f"the GIF's first frame is too large: {error}") from error
    except Exception as error:  # the record boundary: Pillow's plugins raise almost anything
        raise TruncatedImageError(
            f"the {num_bytes:,} bytes begin as {image_format.upper()} but cannot be decoded "
            f"({type(error).__name__}: {error}): they are cut short, damaged or of a rare variant; "
            "fetch the image again or save it anew"
        ) from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise OversizedImageError(
            f"the header announces {width} x {height} = {width * height:,} pixels, above the limit "
            f"of {max_pixels:,}: shrink the image or raise max_pixels"
        )


def _check_announced_size(image_format: str, data: bytes, max_pixels: int) -> None:
    """Checks the size where Pillow allocates a whole frame as soon as it opens the file."""
    if image_format == "png":
        width, height = struct.unpack_from(">II", data, 16)
    elif image_format == "gif":
        width, height = struct.unpack_from("<HH", data, 6)
    elif image_format == "webp":
        width, height = _webp_size(data)
    else:
        return
    _check_size(width, height, max_pixels)


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


def _open(image_format: str, data: bytes) -> ImageFile.ImageFile:
    plugin = _PLUGINS[image_format]
    if image_format == "png":
        plugin(io.BytesIO(data)).verify()  # every checksum; loading skips those of the pixels
    return plugin(io.BytesIO(data))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF raises almost anything and says nothing of the pixels
        return 1


def _turned(size: tuple[NumberT, NumberT], orientation: int) -> tuple[NumberT, NumberT]:
    """Turns (width, height) as stored into the upright one, or back."""
    return size[::-1] if orientation in _SIDEWAYS else size


def _content(
    size: tuple[int, int], filled: tuple[float, float], orientation: int
) -> tuple[float, float, float, float]:
    """Returns where in an upright frame the original is; filling was stored right and below."""
    left = size[0] - filled[0] if orientation in _LEFT_EDGE_WAS_LAST else 0.0
    top = size[1] - filled[1] if orientation in _TOP_EDGE_WAS_LAST else 0.0
    return left, top, left + filled[0], top + filled[1]


def _to_rgb(image: Image.Image) -> Image.Image:
    """Converts a loaded frame of any mode that the five formats have to RGB."""
    if image.mode.startswith("I"):
        return _grey16_to_rgb(image)
    if image.mode == "CMYK" and "adobe" not in image.info:
        image = ImageChops.invert(image)  # Pillow takes every CMYK JPEG for an inverted one
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey16_to_rgb(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.uint32)
    grey = ((values + 128) // 257).astype(np.uint8)  # round(v / 257), never above 255
    if "transparency" in image.info:
        grey[values == image.info["transparency"]] = 255
    return Image.fromarray(grey).convert("RGB")
