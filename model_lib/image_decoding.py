"""Encoded image bytes to an upright 8-bit RGB frame, or an error that names what is wrong.

Takes the bytes of one JPEG, PNG, WebP, GIF or BMP; returns its first frame with the EXIF
orientation applied and transparency laid over white. Raises `ImageError`s only, so bytes from
anywhere are safe to pass in.

Plain JPEGs go to `jpeg_decoding`, all others to Pillow: the same pixels, in less time.

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
from model_lib.errors import ImageError, OversizedImageError, TruncatedImageError
from model_lib.image_headers import check_announced_size, check_size, sniff_format
from model_lib.jpeg_decoding import (
    decode_plain_jpeg,
    divisor_of,
    may_be_turned,
    plain_jpeg_size,
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
    """An upright frame, possibly smaller than the original.

    Attributes:
        raster: a Pillow image of mode RGB, or uint8 [height,width,3], read-only, whichever it was
            decoded to; of the original's size, or of a JPEG reduced while decoding.
        content: (left, top, right, bottom) that the original fills, in pixels of `raster`. A width
            of 3001 reduced to 1/8 fills 375.125 of 376 pixels; the rest is filling.
        width: of the original in pixels, after the EXIF orientation.
        height: of the original in pixels, after the EXIF orientation.
        format: `jpeg`, `png`, `webp`, `gif` or `bmp`.
    """

    raster: Image.Image | Pixels
    content: tuple[float, float, float, float]
    width: int
    height: int
    format: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of `raster` in pixels."""
        raster = self.raster
        return raster.size if isinstance(raster, Image.Image) else raster.shape[1::-1]

    @property
    def image(self) -> Image.Image:
        """The frame as a Pillow image of mode RGB."""
        raster = self.raster
        return raster if isinstance(raster, Image.Image) else Image.fromarray(raster)

    @property
    def pixels(self) -> Pixels:
        """The frame as uint8 [height,width,3], read-only."""
        raster = self.raster
        return np.asarray(raster) if isinstance(raster, Image.Image) else raster


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
    return DecodedImage(frame.pixels, frame.width, frame.height, frame.format)


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
    if image_format == "jpeg" and (frame := _plain_jpeg(data, max_pixels, smallest)):
        return frame
    with _named_errors(image_format, len(data)):
        check_announced_size(image_format, data, max_pixels)
        image = _open(image_format, data)
        check_size(*image.size, max_pixels)
        if image_format != "jpeg":
            image.load()  # before EXIF is read: PNG may hold it behind the pixels
        orientation, size = _orientation(image), image.size
        filled: tuple[float, float] = size
        if smallest:
            wanted = _turned(smallest(*_turned(size, orientation)), orientation)
            reduced = image.draft(None, wanted)
            filled = reduced[1][2:] if reduced else filled
        image.load()
        stored = RgbFrame(_to_rgb(image), (0.0, 0.0, *filled), *size, image_format)
        return _upright(stored, orientation)


def _plain_jpeg(data: bytes, max_pixels: int, smallest: SmallestSize | None) -> RgbFrame | None:
    """Decodes a JPEG without Pillow, to the same frame; None where Pillow has to do it."""
    size = plain_jpeg_size(data)
    if size is None:
        return None
    check_size(*size, max_pixels)
    orientation = _jpeg_orientation(data)
    divisor = 1
    if smallest:
        divisor = divisor_of(size, _turned(smallest(*_turned(size, orientation)), orientation))
    pixels = decode_plain_jpeg(data, size, divisor)
    if pixels is None:
        return None
    content = (0.0, 0.0, size[0] / divisor, size[1] / divisor)
    return _upright(RgbFrame(pixels, content, *size, "jpeg"), orientation)


def _jpeg_orientation(data: bytes) -> int:
    if not may_be_turned(data):
        return 1
    with _named_errors("jpeg", len(data)):
        return _orientation(_open("jpeg", data))


def _upright(stored: RgbFrame, orientation: int) -> RgbFrame:
    """Turns a frame as stored, which its original fills from the corner left above."""
    if orientation not in _UPRIGHT:
        return stored
    image = stored.image.transpose(_UPRIGHT[orientation])
    filled = _turned(stored.content[2:], orientation)
    width, height = _turned((stored.width, stored.height), orientation)
    content = _content(image.size, filled, orientation)
    return RgbFrame(image, content, width, height, stored.format)


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
