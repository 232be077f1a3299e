import dataclasses
import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model_lib import errors
from model_lib.config import PreprocessConfig
from model_lib.preprocessing import Placement, Preprocessor, decode_image, place
from tests.images import (
    BROKEN_IMAGE_ERRORS,
    HEIGHT,
    WIDTH,
    broken_images,
    encoded,
    good_images,
    raw_png,
    sample_image,
    sample_pixels,
    with_orientation,
)

FITS = ("squash", "crop", "pad")


def config(fit: str = "squash", image_size: int = 24) -> PreprocessConfig:
    return PreprocessConfig.from_dict({"fit": fit, "image_size": image_size})


@pytest.mark.parametrize(
    ("fit", "size", "expected"),
    [
        ("squash", (640, 480), Placement((0, 0, 640, 480), (320, 320), (0, 0))),
        ("crop", (640, 480), Placement((80, 0, 560, 480), (320, 320), (0, 0))),
        ("crop", (480, 640), Placement((0, 80, 480, 560), (320, 320), (0, 0))),
        ("crop", (11, 8), Placement((1, 0, 9, 8), (320, 320), (0, 0))),
        ("pad", (640, 480), Placement((0, 0, 640, 480), (320, 240), (0, 40))),
        ("pad", (480, 640), Placement((0, 0, 480, 640), (240, 320), (40, 0))),
        ("pad", (64, 63), Placement((0, 0, 64, 63), (320, 315), (0, 2))),
        ("pad", (1, 1000), Placement((0, 0, 1, 1000), (1, 320), (159, 0))),
    ],
)
def test_placement(fit: str, size: tuple[int, int], expected: Placement) -> None:
    assert place(*size, config(fit, 320)) == expected


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.sampled_from(FITS))
def test_placement_stays_inside_frame_and_square(width: int, height: int, fit: str) -> None:
    placement = place(width, height, config(fit, 299))
    left, top, right, bottom = placement.box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    for length, offset in zip(placement.size, placement.offset, strict=True):
        assert length >= 1
        assert 0 <= offset <= 299 - length


def test_a_prepared_image_tells_of_the_original() -> None:
    data = good_images()["rotated.jpg"]
    prepared = dataclasses.asdict(Preprocessor(config())(data))
    pixels = prepared.pop("pixels")
    assert prepared == {
        "width": HEIGHT,
        "height": WIDTH,
        "format": "jpeg",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert (pixels.shape, pixels.dtype) == ((24, 24, 3), np.uint8)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("name", good_images())
def test_eager_and_tf_data_pixels_are_equal(name: str, fit: str) -> None:
    preprocessor = Preprocessor(config(fit))
    data = good_images()[name]
    dataset = tf.data.Dataset.from_tensors(data).map(preprocessor.map_fn)
    assert dataset.element_spec == tf.TensorSpec([24, 24, 3], tf.uint8)
    (pixels,) = dataset.as_numpy_iterator()
    np.testing.assert_array_equal(pixels, preprocessor(data).pixels)


def test_map_fn_also_runs_eagerly_and_in_parallel() -> None:
    preprocessor = Preprocessor(config())
    images = list(good_images().values())
    expected = [preprocessor(data).pixels for data in images]
    eager = [preprocessor.map_fn(tf.constant(data)).numpy() for data in images]
    np.testing.assert_array_equal(eager, expected)
    dataset = tf.data.Dataset.from_tensor_slices(images * 5)
    dataset = dataset.map(preprocessor.map_fn, num_parallel_calls=4).batch(len(images))
    for batch in dataset.as_numpy_iterator():
        np.testing.assert_array_equal(batch, expected)


@pytest.mark.parametrize("name", ["empty.jpg", "text.jpg", "cut.png", "oversized.gif"])
def test_errors_inside_tf_data_keep_name_and_message(name: str) -> None:
    preprocessor = Preprocessor(config())
    with pytest.raises(errors.ImageError) as caught:
        preprocessor(broken_images()[name])
    dataset = tf.data.Dataset.from_tensors(broken_images()[name]).map(preprocessor.map_fn)
    with pytest.raises(tf.errors.OpError) as inside:
        list(dataset)
    assert f"{BROKEN_IMAGE_ERRORS[name]}: {caught.value}" in str(inside.value)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("name", ["square.png", "square.bmp"])
def test_an_image_of_the_right_size_is_unchanged(name: str, fit: str) -> None:
    square = sample_image(32, 32)
    data = encoded(square, name.split(".")[1].upper())
    pixels = Preprocessor(config(fit, 32))(data).pixels
    np.testing.assert_array_equal(pixels, np.asarray(square))


def test_crop_of_the_right_height_is_the_middle() -> None:
    pixels = Preprocessor(config("crop", HEIGHT))(good_images()["rgb.png"]).pixels
    np.testing.assert_array_equal(pixels, sample_pixels()[:, 8:40])


def test_pad_of_the_right_width_adds_black_above_and_below() -> None:
    pixels = Preprocessor(config("pad", WIDTH))(good_images()["rgb.png"]).pixels
    np.testing.assert_array_equal(pixels[8:40], sample_pixels())
    assert not pixels[:8].any()
    assert not pixels[40:].any()


def test_squash_averages_instead_of_skipping_pixels() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = Preprocessor(config("squash", 8))(encoded(Image.fromarray(stripes), "PNG")).pixels
    assert pixels.min() >= 120
    assert pixels.max() <= 135


def full_size_resize(data: bytes, fit: str, side: int) -> np.ndarray:
    """What the preprocessing gives, without its shortcuts for large frames."""
    image = decode_image(data)
    placement = place(image.width, image.height, config(fit, side))
    resized = Image.fromarray(image.pixels).resize(
        placement.size, Image.Resampling.BILINEAR, placement.box
    )
    square = Image.new("RGB", (side, side))
    square.paste(resized, placement.offset)
    return np.asarray(square)


@pytest.mark.parametrize(
    ("fit", "size", "factor"),
    [
        ("squash", (448, 448), 2),
        ("squash", (640, 447), 1),
        ("squash", (4000, 1000), 4),
        ("crop", (640, 480), 2),
        ("crop", (640, 447), 1),
        ("pad", (640, 100), 2),
        ("pad", (447, 100), 1),
    ],
)
def test_a_jpeg_is_decoded_as_small_as_its_final_size_allows(
    fit: str, size: tuple[int, int], factor: int
) -> None:
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))
    data = encoded(photo, "JPEG")
    stored = Image.open(io.BytesIO(data))
    stored.draft("RGB", (-(-size[0] // factor), -(-size[1] // factor)))
    placement = place(*size, config(fit, 224))
    box = tuple(edge / factor for edge in placement.box)
    expected = Image.new("RGB", (224, 224))
    resized = stored.resize(placement.size, Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    expected.paste(resized, placement.offset)
    pixels = Preprocessor(config(fit, 224))(data).pixels
    np.testing.assert_array_equal(pixels, np.asarray(expected))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(1600, 1200), (1201, 1599), (2001, 999)])
def test_the_shortcuts_for_large_frames_change_little(
    fit: str, size: tuple[int, int], orientation: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1] // 40, size[0] // 40, 3), np.uint8)
    photo = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    data = with_orientation(photo, orientation, "JPEG")
    fast = Preprocessor(config(fit, 64))(data).pixels
    difference = np.abs(fast.astype(int) - full_size_resize(data, fit, 64))
    assert difference.mean() < 1.0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", FITS)
def test_a_turned_png_gives_the_pixels_of_the_upright_one(orientation: int, fit: str) -> None:
    stored = with_orientation(sample_image(33, 21), orientation, "PNG")
    upright = encoded(Image.fromarray(decode_image(stored).pixels), "PNG")
    preprocessor = Preprocessor(config(fit, 16))
    np.testing.assert_array_equal(preprocessor(stored).pixels, preprocessor(upright).pixels)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(2_000_000, 1), (1, 65_000), (1, 1)])
def test_extreme_frames_work(fit: str, size: tuple[int, int]) -> None:
    row = b"\0" + b"\xff" * -(-size[0] // 8)
    prepared = Preprocessor(config(fit))(raw_png(*size, 1, 0, row * size[1]))
    assert (prepared.width, prepared.height) == size
    assert prepared.pixels.shape == (24, 24, 3)
    assert prepared.pixels.max() == 255


def test_the_configs_pixel_limit_is_used() -> None:
    preprocessor = Preprocessor(config().replace(max_pixels=WIDTH * HEIGHT - 1))
    with pytest.raises(errors.OversizedImageError, match=r"above the limit of 1,535"):
        preprocessor(good_images()["rgb.png"])


@pytest.mark.parametrize("name", BROKEN_IMAGE_ERRORS)
def test_each_fault_has_its_error(name: str) -> None:
    with pytest.raises(errors.ImageError) as caught:
        Preprocessor(config())(broken_images()[name])
    assert type(caught.value).__name__ == BROKEN_IMAGE_ERRORS[name]


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(good_images())),
    fit=st.sampled_from(FITS),
    at=st.one_of(st.integers(0, 120), st.integers(0, 10_000)),
    value=st.integers(0, 255),
)
def test_one_changed_byte_gives_pixels_or_an_image_error(
    name: str, fit: str, at: int, value: int
) -> None:
    data = bytearray(good_images()[name])
    data[at % len(data)] = value
    preprocessor = Preprocessor(config(fit).replace(max_pixels=10_000))
    try:
        prepared = preprocessor(bytes(data))
    except errors.ImageError:
        return
    assert prepared.pixels.shape == (24, 24, 3)


def test_importing_it_does_not_import_tensorflow() -> None:
    code = "import sys, model_lib.preprocessing; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
