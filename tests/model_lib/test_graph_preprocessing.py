"""The preprocessor in TensorFlow operations, against the preprocessor."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from model_lib.config import PreprocessConfig
from model_lib.graph_preprocessing import GraphPreprocessor
from model_lib.preprocessing import Preprocessor
from tests.images import broken_images, encoded, good_images, sample_image, with_orientation

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
# Of TensorFlow's decoders: WebP is not read, a GIF's transparent parts are black.
OTHERWISE = {"transparent.gif"}


def images() -> dict[str, bytes]:
    """Images of every kind, orientation and scale; no WebP."""
    kinds = {name: data for name, data in good_images().items() if not name.endswith(".webp")}
    for orientation in range(1, 9):
        # 1001 x 707 is reduced to 1/8: 125.125 x 88.375 of 126 x 89 pixels are the picture.
        large = with_orientation(sample_image(1001, 707), orientation, "JPEG")
        kinds[f"large_{orientation}.jpg"] = large
    kinds["large.png"] = encoded(sample_image(1003, 555), "PNG")
    kinds["tall.png"] = encoded(sample_image(40, 900), "PNG")
    kinds["large.bmp"] = encoded(sample_image(301, 503), "BMP")
    kinds["square.png"] = encoded(sample_image(32, 32), "PNG")
    return kinds


def compiled(config: PreprocessConfig) -> Any:
    signature = [tf.TensorSpec([None], tf.string)]
    return tf.function(GraphPreprocessor(config).__call__, signature, autograph=False)


@pytest.fixture(scope="module")
def prepare() -> Any:
    return compiled(PreprocessConfig(image_size=32))


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_pixels_are_the_preprocessors(prepare: Any, fit: str) -> None:
    config = PreprocessConfig.from_dict({"image_size": 32, "fit": fit})
    run = prepare if fit == "squash" else compiled(config)
    pixels, is_read = run(list(images().values()))
    assert is_read.numpy().all()
    preprocessor = Preprocessor(config)
    for (name, data), actual in zip(images().items(), pixels.numpy(), strict=True):
        difference = np.abs(actual.astype(int) - preprocessor(data).pixels)
        if name not in OTHERWISE:
            assert difference.max() <= 1, name
            # Smooth drawings have many halves, which may be rounded the other way.
            assert np.mean(difference > 0) < 0.01, name


def test_pixels_of_photos() -> None:
    config = PreprocessConfig(image_size=224)
    photos = [path.read_bytes() for path in sorted(PHOTOS.glob("*.[jp][pn]g"))]
    assert len(photos) == 7
    pixels, is_read = compiled(config)(photos)
    assert is_read.numpy().all()
    expected = np.stack([Preprocessor(config)(photo).pixels for photo in photos])
    differences = np.abs(pixels.numpy().astype(int) - expected)
    # By 2 in the one that is decoded at half its size: TensorFlow's libjpeg-turbo is another.
    assert differences.max() <= 2
    assert np.mean(differences > 1) < 0.0001
    assert np.mean(differences > 0) < 0.01


def test_a_picture_of_the_right_size_is_passed_on_unchanged(prepare: Any) -> None:
    data = images()["square.png"]
    pixels, _ = prepare([data])
    np.testing.assert_array_equal(pixels[0], np.asarray(sample_image(32, 32)))


def test_transparent_parts_of_a_gif_are_black(prepare: Any) -> None:
    whole = Preprocessor(PreprocessConfig(image_size=32))(good_images()["transparent.gif"]).pixels
    pixels = prepare([good_images()["transparent.gif"]])[0][0].numpy()
    is_white = (whole == 255).all(axis=-1)
    assert is_white.any()
    assert pixels[is_white].max() == 0


def test_broken_images_are_named_and_the_others_stay(prepare: Any) -> None:
    good = images()["rgb.jpg"]
    webp = {name: data for name, data in good_images().items() if name.endswith(".webp")}
    broken = {**broken_images(), **webp}
    pixels, is_read = prepare([good, *broken.values(), good])
    assert is_read.numpy().tolist() == [True, *[False] * len(broken), True]
    expected = prepare([good])[0][0].numpy()
    np.testing.assert_array_equal(pixels[0], expected)
    np.testing.assert_array_equal(pixels[-1], expected)
    assert pixels.numpy()[1:-1].max() == 0


def test_a_batch_of_broken_images_alone(prepare: Any) -> None:
    pixels, is_read = prepare([b"", b"no image"])
    assert is_read.numpy().tolist() == [False, False]
    assert pixels.shape == (2, 32, 32, 3)


def test_an_empty_batch(prepare: Any) -> None:
    pixels, is_read = prepare(tf.zeros([0], tf.string))
    assert (pixels.shape, is_read.shape) == ((0, 32, 32, 3), (0,))


def test_the_pixel_limit() -> None:
    limited = compiled(PreprocessConfig(image_size=16, max_pixels=48 * 32 - 1))
    names = ["rgb.jpg", "rgb.png", "palette.gif", "rgb.bmp"]
    small = encoded(sample_image(48, 31), "PNG")
    _, is_read = limited([*(good_images()[name] for name in names), small])
    assert is_read.numpy().tolist() == [False, False, False, False, True]
