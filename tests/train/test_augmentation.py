"""Views of a photo: the first is what serving sees, the others depend on the bytes alone."""

import io

import numpy as np
import pytest
from PIL import Image

from model_lib.config import PreprocessConfig
from model_lib.errors import EmptyImageError
from model_lib.preprocessing import Preprocessor
from train.augmentation import photo_views

PREPROCESSOR = Preprocessor(PreprocessConfig(image_size=48))


def photo(seed):
    """A smooth picture, so that a crop of it is near the picture itself."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((100, 80), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def test_first_view_is_what_serving_sees_and_second_its_mirror_image():
    views = photo_views(PREPROCESSOR, photo(0), 2)
    assert (views.shape, views.dtype) == ((2, 48, 48, 3), np.uint8)
    np.testing.assert_array_equal(views[0], PREPROCESSOR(photo(0)).pixels)
    np.testing.assert_array_equal(views[1], views[0][:, ::-1])


def test_a_view_does_not_depend_on_how_many_are_asked_for():
    six = photo_views(PREPROCESSOR, photo(1), 6)
    for count in range(1, 7):
        np.testing.assert_array_equal(photo_views(PREPROCESSOR, photo(1), count), six[:count])


def test_crops_differ_from_each_other_and_from_photo_to_photo():
    views = photo_views(PREPROCESSOR, photo(1), 6)
    assert len({view.tobytes() for view in views}) == 6
    # The same pixels in another file: other bytes, so other crops of the same whole.
    other = io.BytesIO()
    Image.open(io.BytesIO(photo(1))).save(other, "PNG", compress_level=1)
    same = photo_views(PREPROCESSOR, other.getvalue(), 3)
    np.testing.assert_array_equal(same[0], views[0])
    assert (same[2] != views[2]).any()


def test_a_crop_is_a_stretched_rectangle_of_most_of_the_photo():
    # Pixels that hold their own place: red grows to the right, green downwards.
    ramp = np.linspace(0, 250, 48).astype(np.uint8)
    pixels = np.stack([*np.meshgrid(ramp, ramp), np.zeros((48, 48), np.uint8)], axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    for crop in photo_views(PREPROCESSOR, buffer.getvalue(), 12)[2::2].astype(int):
        left, right = crop[24, [1, -2], 0]
        top, bottom = crop[[1, -2], 24, 1]
        width, height = (right - left) / 250 * 48 / 45, (bottom - top) / 250 * 48 / 45
        assert 0.55 <= width * height <= 1.05
        assert 0.75 <= width / height <= 1.33
        assert (np.diff(crop[24, :, 0]) >= -2).all()  # not mirrored


def test_odd_views_are_mirrored():
    ramp = np.linspace(0, 250, 48).astype(np.uint8)
    pixels = np.repeat(np.tile(ramp, (48, 1))[..., np.newaxis], 3, axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    views = photo_views(PREPROCESSOR, buffer.getvalue(), 8).astype(int)
    assert [bool(view[24, 0, 0] < view[24, -1, 0]) for view in views] == [True, False] * 4


def test_no_image_is_an_image_error():
    with pytest.raises(EmptyImageError):
        photo_views(PREPROCESSOR, b"", 2)
