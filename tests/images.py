"""Sample images of every format and fault, made in memory, for the tests of all packages.

`good_images` and `broken_images` map file names to bytes; `BROKEN_IMAGE_ERRORS` says which error
each broken one must give. All are a few kilobytes and the same at every call.
"""

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageChops

WIDTH, HEIGHT = 48, 32

# As `sniff_format` names them, by the endings of the samples' names.
FORMATS = {"jpg": "jpeg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp"}

BROKEN_IMAGE_ERRORS = {
    "empty.jpg": "EmptyImageError",
    "text.jpg": "UnknownImageFormatError",
    "web_page.png": "UnknownImageFormatError",
    "starts_like_bmp.bmp": "UnknownImageFormatError",
    "icon.ico": "UnknownImageFormatError",
    "pixmap.ppm": "UnknownImageFormatError",
    "tagged.tif": "UnknownImageFormatError",
    "sound.webp": "UnknownImageFormatError",
    "cut.bmp": "TruncatedImageError",
    "cut.gif": "TruncatedImageError",
    "cut.jpg": "TruncatedImageError",
    "cut.png": "TruncatedImageError",
    "cut.webp": "TruncatedImageError",
    "cut_header.jpg": "TruncatedImageError",
    "cut_progressive.jpg": "TruncatedImageError",
    "bad_checksum.png": "TruncatedImageError",
    "bytes_missing_inside.png": "TruncatedImageError",
    "no_end_mark.png": "TruncatedImageError",
    "no_pixels.png": "TruncatedImageError",
    "zeros_from_the_middle.jpg": "TruncatedImageError",
    "oversized.bmp": "OversizedImageError",
    "oversized.gif": "OversizedImageError",
    "oversized_frame.gif": "OversizedImageError",
    "oversized.jpg": "OversizedImageError",
    "oversized.png": "OversizedImageError",
    "oversized_extended.webp": "OversizedImageError",
    "oversized_lossless.webp": "OversizedImageError",
    "oversized_lossy.webp": "OversizedImageError",
}


def with_edits(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Replaces bytes, edit after edit: (where, how many go, what comes)."""
    for at, removed, inserted in edits:
        data = data[:at] + inserted + data[at + removed :]
    return data


def sample_pixels(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A smooth picture without symmetry: uint8 [height,width,3], one colour to a corner."""
    x = np.linspace(0.0, 1.0, width)[None, :, None]
    y = np.linspace(0.0, 1.0, height)[:, None, None]
    corners = np.array([[[200, 40, 30], [40, 180, 60]], [[30, 60, 220], [240, 230, 90]]], float)
    top = corners[0, 0] * (1 - x) + corners[0, 1] * x
    bottom = corners[1, 0] * (1 - x) + corners[1, 1] * x
    return np.round(top * (1 - y) + bottom * y).astype(np.uint8)


def sample_image(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """`sample_pixels` as a Pillow image of mode RGB."""
    return Image.fromarray(sample_pixels(width, height))


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    """Saves a Pillow image into bytes."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def with_orientation(image: Image.Image, orientation: int, image_format: str) -> bytes:
    """Saves an image with an EXIF orientation (1 to 8), its pixels as they are."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if image_format == "WEBP" else {"quality": 95}
    return encoded(image, image_format, exif=exif, **options)


def raw_png(width: int, height: int, depth: int, colour_type: int, rows: bytes | None) -> bytes:
    """Writes a PNG that Pillow cannot: any bit depth and colour type, or no pixels at all."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = b"" if rows is None else chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def png_16_bit(values: np.ndarray) -> bytes:
    """Writes uint16 [H,W] (grey), [H,W,2] (grey, alpha), [H,W,3] or [H,W,4] as a 16-bit PNG."""
    height, width = values.shape[:2]
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[values.size // (height * width)]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return raw_png(width, height, 16, colour_type, rows)


def without_adobe_marker(jpeg: bytes) -> bytes:
    """Removes the segment that says a CMYK JPEG is stored inverted."""
    start = jpeg.index(b"\xff\xee")
    end = start + 2 + struct.unpack_from(">H", jpeg, start + 2)[0]
    return jpeg[:start] + jpeg[end:]


def _alpha_ramp() -> Image.Image:
    image = sample_image().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def _jpegs() -> dict[str, bytes]:
    photo = sample_image()
    cmyk = photo.convert("CMYK")
    inverted = ImageChops.invert(cmyk)  # Pillow inverts again as it saves
    return {
        "rgb.jpg": encoded(photo, "JPEG", quality=95),
        "progressive.jpg": encoded(photo, "JPEG", quality=95, progressive=True),
        "grey.jpg": encoded(photo.convert("L"), "JPEG", quality=95),
        "cmyk_adobe.jpg": encoded(cmyk, "JPEG", quality=95),
        "cmyk_plain.jpg": without_adobe_marker(encoded(inverted, "JPEG", quality=95)),
        "rotated.jpg": with_orientation(photo, 6, "JPEG"),
    }


def _pngs() -> dict[str, bytes]:
    photo = sample_image()
    wide = sample_pixels().astype(np.uint16) * 257
    palette = photo.quantize(16)
    return {
        "rgb.png": encoded(photo, "PNG"),
        "rgba.png": encoded(_alpha_ramp(), "PNG"),
        "grey.png": encoded(photo.convert("L"), "PNG"),
        "grey_alpha.png": encoded(_alpha_ramp().convert("LA"), "PNG"),
        "bilevel.png": encoded(photo.convert("1"), "PNG"),
        "palette.png": encoded(palette, "PNG"),
        "palette_transparent.png": encoded(palette, "PNG", transparency=3),
        "palette_alpha.png": encoded(palette, "PNG", transparency=bytes(range(0, 256, 16))),
        "grey_16_bit.png": png_16_bit(wide[:, :, 0]),
        "rgb_16_bit.png": png_16_bit(wide),
        "rgba_16_bit.png": png_16_bit(np.dstack([wide, wide[:, :, 0]])),
        "grey_alpha_16_bit.png": png_16_bit(wide[:, :, :2]),
        "animated.png": encoded(photo, "PNG", save_all=True, append_images=[photo.rotate(180)]),
    }


def _others() -> dict[str, bytes]:
    photo = sample_image()
    frames = {"save_all": True, "append_images": [photo.rotate(180)]}
    return {
        "lossy.webp": encoded(photo, "WEBP", quality=90),
        "lossless.webp": encoded(photo, "WEBP", lossless=True),
        "alpha.webp": encoded(_alpha_ramp(), "WEBP", lossless=True),
        "animated.webp": encoded(photo, "WEBP", lossless=True, **frames),
        "palette.gif": encoded(photo, "GIF"),
        "transparent.gif": encoded(photo.quantize(16), "GIF", transparency=3),
        "animated.gif": encoded(photo, "GIF", **frames),
        "rgb.bmp": encoded(photo, "BMP"),
        "32_bit.bmp": encoded(_alpha_ramp(), "BMP"),
        "grey.bmp": encoded(photo.convert("L"), "BMP"),
        "palette.bmp": encoded(photo.quantize(16), "BMP"),
    }


@functools.cache
def good_images() -> dict[str, bytes]:
    """Every kind of image that is read here, all of `sample_image`, by file name."""
    return {**_jpegs(), **_pngs(), **_others()}


def _unknown() -> dict[str, bytes]:
    photo = sample_image()
    return {
        "empty.jpg": b"",
        "text.jpg": b"this is not an image\n",
        "web_page.png": b"<!DOCTYPE html><title>404</title>",
        "starts_like_bmp.bmp": b"BMW is a maker of cars and motorcycles",
        "icon.ico": encoded(photo, "ICO"),
        "pixmap.ppm": encoded(photo, "PPM"),
        "tagged.tif": encoded(photo, "TIFF"),
        "sound.webp": b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0",
    }


def _damaged() -> dict[str, bytes]:
    good = good_images()
    png, jpeg = good["rgb.png"], good["rgb.jpg"]
    middle = len(png) // 2
    return {
        "cut.bmp": good["rgb.bmp"][:2000],
        "cut.gif": good["palette.gif"][:1000],
        "cut.jpg": jpeg[: len(jpeg) * 3 // 4],
        "cut.png": png[: len(png) * 3 // 4],
        "cut.webp": good["lossy.webp"][:-50],
        "cut_header.jpg": jpeg[:40],
        "cut_progressive.jpg": good["progressive.jpg"][:-40],
        "bad_checksum.png": png[:-14] + bytes([png[-14] ^ 1]) + png[-13:],
        "bytes_missing_inside.png": png[:middle] + png[middle + 10 :],
        "no_end_mark.png": png[:-12],
        "no_pixels.png": raw_png(WIDTH, HEIGHT, 8, 2, None),
        "zeros_from_the_middle.jpg": jpeg[: len(jpeg) * 3 // 4] + bytes(len(jpeg) // 4),
    }


def _patched(data: bytes, offset: int, layout: str, *values: int) -> bytes:
    new = struct.pack(layout, *values)
    return data[:offset] + new + data[offset + len(new) :]


def _oversized() -> dict[str, bytes]:
    """Headers that announce 144 million pixels or more."""
    good = good_images()
    frame = good["rgb.jpg"].index(b"\xff\xc0")
    gif_frame = good["palette.gif"].index(b",\0\0\0\0" + struct.pack("<HH", WIDTH, HEIGHT))
    side = 12_000 - 1  # WebP stores one less
    return {
        "oversized.bmp": _patched(good["rgb.bmp"], 18, "<ii", 20_000, 20_000),
        "oversized.gif": _patched(good["palette.gif"], 6, "<HH", 20_000, 20_000),
        "oversized_frame.gif": _patched(good["palette.gif"], gif_frame + 5, "<HH", 65_535, 65_535),
        "oversized.jpg": _patched(good["rgb.jpg"], frame + 5, ">HH", 20_000, 20_000),
        "oversized.png": raw_png(20_000, 20_000, 8, 2, None),
        "oversized_extended.webp": _patched(good["animated.webp"], 24, "<HBHB", side, 0, side, 0),
        "oversized_lossless.webp": _patched(good["lossless.webp"], 21, "<I", side | side << 14),
        "oversized_lossy.webp": _patched(good["lossy.webp"], 26, "<HH", 12_000, 12_000),
    }


@functools.cache
def broken_images() -> dict[str, bytes]:
    """Every kind of fault, by file name; `BROKEN_IMAGE_ERRORS` has the same keys."""
    return {**_unknown(), **_damaged(), **_oversized()}
