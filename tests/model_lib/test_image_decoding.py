import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from model_lib import errors
from model_lib.config import PreprocessConfig
from model_lib.image_decoding import DEFAULT_MAX_PIXELS, decode_frame, decode_image
from tests.images import (
    BROKEN_IMAGE_ERRORS,
    FORMATS,
    HEIGHT,
    WIDTH,
    broken_images,
    encoded,
    good_images,
    png_16_bit,
    raw_png,
    sample_image,
    sample_pixels,
    with_edits,
    with_orientation,
)

# Mean difference to `sample_pixels` that the lossy ones may have; the others are exact.
LOSSY = {
    "rgb.jpg": 1.0,
    "progressive.jpg": 1.0,
    "cmyk_adobe.jpg": 1.0,
    "cmyk_plain.jpg": 1.0,
    "lossy.webp": 2.0,
    "palette.gif": 3.0,
    "animated.gif": 3.0,
}
EXACT = (
    "rgb.png",
    "rgb_16_bit.png",
    "animated.png",
    "lossless.webp",
    "animated.webp",
    "rgb.bmp",
    "32_bit.bmp",
)
TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,  # each undoes what the viewer must do
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def grey_of(pixels: np.ndarray) -> np.ndarray:
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    return np.dstack([grey] * 3)


def over_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha.astype(float)[..., None] / 255
    return pixels * share + 255 * (1 - share)


@pytest.mark.parametrize("name", good_images())
def test_each_format_is_named_and_sized(name: str) -> None:
    image = decode_image(good_images()[name])
    size = (HEIGHT, WIDTH) if name == "rotated.jpg" else (WIDTH, HEIGHT)
    assert (image.width, image.height) == size
    assert image.format == FORMATS[name.split(".")[1]]
    assert image.pixels.shape == (*size[::-1], 3)
    assert image.pixels.dtype == np.uint8


@pytest.mark.parametrize("name", EXACT)
def test_lossless_formats_give_the_exact_pixels(name: str) -> None:
    np.testing.assert_array_equal(decode_image(good_images()[name]).pixels, sample_pixels())


@pytest.mark.parametrize(("name", "most"), LOSSY.items())
def test_lossy_formats_give_nearly_the_pixels(name: str, most: float) -> None:
    pixels = decode_image(good_images()[name]).pixels
    assert np.abs(pixels.astype(int) - sample_pixels()).mean() < most


@pytest.mark.parametrize("name", ["grey.png", "grey.bmp"])
def test_grey_has_three_equal_channels(name: str) -> None:
    pixels = decode_image(good_images()[name]).pixels
    np.testing.assert_array_equal(pixels, grey_of(sample_pixels()))


@pytest.mark.parametrize("name", ["palette.png", "palette.bmp"])
def test_a_palette_is_looked_up(name: str) -> None:
    expected = np.asarray(sample_image().quantize(16).convert("RGB"))
    np.testing.assert_array_equal(decode_image(good_images()[name]).pixels, expected)


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65406, 65407, 65535]], np.uint16)
    pixels = decode_image(png_16_bit(values)).pixels
    np.testing.assert_array_equal(pixels[0, :, 0], [0, 0, 1, 1, 128, 254, 255, 255])
    np.testing.assert_array_equal(pixels, np.dstack([pixels[..., 0]] * 3))


def test_the_transparent_value_of_16_bit_grey_is_white() -> None:
    values = np.array([[0, 1000, 2000]], np.uint16)
    whole = png_16_bit(values)
    marked = Image.open(io.BytesIO(whole))
    pixels = decode_image(encoded(marked, "PNG", transparency=1000)).pixels
    assert pixels[0, :, 0].tolist() == [0, 255, 8]


@pytest.mark.parametrize("name", ["rgba.png", "alpha.webp"])
def test_alpha_is_laid_over_white(name: str) -> None:
    alpha = np.asarray(Image.linear_gradient("L").resize((WIDTH, HEIGHT)))
    expected = over_white(sample_pixels(), alpha)
    np.testing.assert_allclose(decode_image(good_images()[name]).pixels, expected, atol=1)


def test_grey_with_alpha_is_laid_over_white() -> None:
    alpha = np.asarray(Image.linear_gradient("L").resize((WIDTH, HEIGHT)))
    expected = over_white(grey_of(sample_pixels()), alpha)
    pixels = decode_image(good_images()["grey_alpha.png"]).pixels
    np.testing.assert_allclose(pixels, expected, atol=1)


@pytest.mark.parametrize("name", ["rgba_16_bit.png", "grey_alpha_16_bit.png"])
def test_16_bit_alpha_is_laid_over_white(name: str) -> None:
    red, green, _ = np.moveaxis(sample_pixels(), -1, 0)
    colour, alpha = (
        (sample_pixels(), red) if name.startswith("rgba") else (np.dstack([red] * 3), green)
    )
    pixels = decode_image(good_images()[name]).pixels
    np.testing.assert_allclose(pixels, over_white(colour, alpha), atol=1)


@pytest.mark.parametrize("name", ["palette_transparent.png", "transparent.gif"])
def test_the_transparent_palette_entry_is_white(name: str) -> None:
    palette = sample_image().quantize(16)
    expected = np.array(palette.convert("RGB"))
    expected[np.asarray(palette) == 3] = 255
    np.testing.assert_array_equal(decode_image(good_images()[name]).pixels, expected)


def test_palette_entries_with_alpha_are_laid_over_white() -> None:
    palette = sample_image().quantize(16)
    expected = over_white(np.array(palette.convert("RGB")), np.asarray(palette) * 16)
    pixels = decode_image(good_images()["palette_alpha.png"]).pixels
    np.testing.assert_allclose(pixels, expected, atol=1)


def test_a_gif_whose_first_frame_is_small_has_the_size_of_the_canvas() -> None:
    gif = bytearray(encoded(sample_image(), "GIF"))
    gif[6:10] = (WIDTH + 10).to_bytes(2, "little") + (HEIGHT + 20).to_bytes(2, "little")
    image = decode_image(bytes(gif))
    assert (image.width, image.height) == (WIDTH + 10, HEIGHT + 20)
    frame = decode_image(good_images()["palette.gif"]).pixels
    np.testing.assert_array_equal(image.pixels[:HEIGHT, :WIDTH], frame)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, image_format: str) -> None:
    stored = sample_image()
    if orientation in TRANSPOSED:
        stored = stored.transpose(TRANSPOSED[orientation])
    image = decode_image(with_orientation(stored, orientation, image_format))
    assert (image.width, image.height) == (WIDTH, HEIGHT)
    np.testing.assert_array_equal(image.pixels, sample_pixels())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_a_reduced_jpeg_is_applied(orientation: int) -> None:
    stored = sample_image(WIDTH * 8, HEIGHT * 8)
    if orientation in TRANSPOSED:
        stored = stored.transpose(TRANSPOSED[orientation])
    data = with_orientation(stored, orientation, "JPEG")
    frame = decode_frame(data, DEFAULT_MAX_PIXELS, lambda width, height: (WIDTH, HEIGHT))
    assert (frame.width, frame.height) == (WIDTH * 8, HEIGHT * 8)
    assert frame.image.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(frame.image).astype(int) - sample_pixels()).mean() < 2.0


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_counts_as_upright(orientation: int) -> None:
    image = decode_image(with_orientation(sample_image(), orientation, "PNG"))
    np.testing.assert_array_equal(image.pixels, sample_pixels())


def test_damaged_exif_data_counts_as_upright() -> None:
    data = with_orientation(sample_image(), 6, "JPEG")
    damaged = data.replace(b"Exif\0\0MM", b"Exif\0\0XX").replace(b"Exif\0\0II", b"Exif\0\0XX")
    assert damaged != data
    assert (decode_image(damaged).width, decode_image(damaged).height) == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("smallest", "size"),
    [
        ((400, 300), (400, 300)),
        ((201, 150), (400, 300)),
        ((200, 1), (200, 150)),
        ((99, 74), (100, 75)),
        ((1, 1), (50, 38)),
    ],
)
def test_a_jpeg_is_reduced_but_never_below_the_smallest_size(
    smallest: tuple[int, int], size: tuple[int, int]
) -> None:
    data = encoded(sample_image(400, 300), "JPEG")
    frame = decode_frame(data, DEFAULT_MAX_PIXELS, lambda width, height: smallest)
    assert frame.image.size == size
    assert (frame.width, frame.height) == (400, 300)
    assert frame.content == (0, 0, size[0], size[0] * 300 / 400)  # 37.5 of 38 rows at 1/8


@pytest.mark.parametrize("name", BROKEN_IMAGE_ERRORS)
def test_each_fault_has_its_error(name: str) -> None:
    with pytest.raises(errors.ImageError) as caught:
        decode_image(broken_images()[name])
    assert type(caught.value).__name__ == BROKEN_IMAGE_ERRORS[name]


def test_the_samples_of_faults_are_complete() -> None:
    assert set(broken_images()) == set(BROKEN_IMAGE_ERRORS)


def test_messages_say_what_to_do() -> None:
    for name, advice in {
        "empty.jpg": "the image has 0 bytes: upload or download it again",
        "web_page.png": "begin with b'<!DOCTYPE html><', which is none of JPEG, PNG, WebP, GIF and",
        "cut.jpg": "begin as JPEG but cannot be decoded (OSError: image file is truncated",
        "oversized.jpg": "announces 20000 x 20000 = 400,000,000 pixels, above the limit of "
        "100,000,000: shrink the image or raise max_pixels",
    }.items():
        with pytest.raises(errors.ImageError) as caught:
            decode_image(broken_images()[name])
        assert advice in str(caught.value)


@pytest.mark.parametrize("name", [name for name in good_images() if name != "rotated.jpg"])
def test_the_pixel_limit_is_inclusive(name: str) -> None:
    decode_image(good_images()[name], max_pixels=WIDTH * HEIGHT)
    with pytest.raises(errors.OversizedImageError, match="48 x 32 = 1,536 pixels"):
        decode_image(good_images()[name], max_pixels=WIDTH * HEIGHT - 1)


def test_the_limit_replaces_pillows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Image.open would refuse 48 x 32
    for name in ("rgb.jpg", "rgb.png", "lossy.webp", "palette.gif", "rgb.bmp"):
        assert decode_image(good_images()[name]).width == WIDTH
    assert PreprocessConfig().max_pixels == DEFAULT_MAX_PIXELS


def test_oversized_png_is_refused_before_its_pixels_are_read() -> None:
    with pytest.raises(errors.OversizedImageError):
        decode_image(raw_png(100_001, 1000, 8, 2, b"no such pixels"))


@pytest.mark.parametrize("name", good_images())
def test_a_file_cut_anywhere_is_an_error_or_the_whole_picture(name: str) -> None:
    data = good_images()[name]
    whole = decode_image(data).pixels
    for num_bytes in {*range(60), *range(60, len(data), 41), *range(len(data) - 20, len(data))}:
        try:
            pixels = decode_image(data[:num_bytes]).pixels
        except errors.ImageError:
            continue
        np.testing.assert_array_equal(pixels, whole)


def test_cmyk_markers_make_the_difference() -> None:
    marked = good_images()["cmyk_adobe.jpg"]
    start = marked.index(b"\xff\xee")
    unmarked = marked[:start] + marked[start + 16 :]
    cmyk = Image.open(io.BytesIO(marked))
    expected = np.asarray(ImageChops.invert(cmyk).convert("RGB"))
    np.testing.assert_array_equal(decode_image(unmarked).pixels, expected)


@settings(max_examples=300, deadline=None)
@given(
    prefix=st.sampled_from([data[:40] for data in good_images().values()] + [b""]),
    tail=st.binary(max_size=200),
)
def test_random_bytes_give_nothing_but_image_errors(prefix: bytes, tail: bytes) -> None:
    try:
        image = decode_image(prefix + tail, max_pixels=10_000)
    except errors.ImageError:
        return
    assert image.pixels.shape == (image.height, image.width, 3)


@settings(max_examples=1000, deadline=None)
@given(
    name=st.sampled_from(sorted(good_images())),
    edits=st.lists(
        st.tuples(
            st.one_of(st.integers(0, 120), st.integers(0, 10_000)),
            st.integers(0, 30),
            st.binary(max_size=8),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_mutated_images_give_nothing_but_image_errors(
    name: str, edits: list[tuple[int, int, bytes]]
) -> None:
    data = with_edits(good_images()[name], edits)
    try:
        image = decode_image(data, max_pixels=10_000)
    except errors.ImageError:
        return
    assert image.pixels.shape == (image.height, image.width, 3)
