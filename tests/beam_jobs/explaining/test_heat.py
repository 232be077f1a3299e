import numpy as np
import pytest
from PIL import Image

from beam_jobs.explaining.heat import HeatScale, colours, heat_over, scale_of, spread
from model_lib.config import PreprocessConfig
from model_lib.preprocessing import Preprocessor, place
from tests.images import encoded

SIDE = 32
# Everything is read at the left upper of four parts.
CORNER = np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)
SCALE = scale_of(CORNER[np.newaxis])


def config(fit: str) -> PreprocessConfig:
    return PreprocessConfig(image_size=SIDE, fit=fit)


def test_colours_begin_at_the_even_share_and_end_at_the_largest():
    shares = np.array([[[0.1, 0.2], [0.3, 0.4]], [[0.7, 0.1], [0.1, 0.1]]], np.float32)
    scale = scale_of(shares)
    assert scale == HeatScale(0.25, float(np.float32(0.7)))
    expected = [[[0, 0], [1 / 9, 1 / 3]], [[1, 0], [0, 0]]]
    np.testing.assert_allclose(scale.heat(shares), expected, atol=1e-6)


def test_where_nothing_differs_there_is_no_heat():
    even = np.full((2, 3, 3), 1 / 9, np.float32)
    assert not scale_of(even).heat(even).any()
    assert scale_of(np.zeros((0, 3, 3), np.float32)) == HeatScale(0.0, 0.0)


def test_colours_are_inferno_and_grow_lighter():
    np.testing.assert_array_equal(
        colours(np.array([0.0, 0.5, 1.0], np.float32)),
        [(0, 0, 4), (186, 54, 85), (252, 255, 164)],
    )
    lightness = colours(np.linspace(0, 1, 50, dtype=np.float32)) @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(lightness) > 0)


@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_weights_are_spread_over_what_the_model_saw(fit):
    found = spread(CORNER, place(64, 32, config(fit)), SIDE, (40, 20))
    assert found.shape == (20, 40)
    # A corner's bicubic overshoot is at most a quarter.
    corners = found[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, [1, 0, 0, 0], atol=0.26)
    middle = found[9:11, 19:21].mean()
    assert middle == pytest.approx(0.25, abs=0.01)


def test_black_bars_take_their_heat_with_them():
    rows = np.array([[0.7], [0.1], [0.1], [0.1]], np.float32).repeat(4, axis=1)
    # Half of the square is bars: the uppermost of four rows of parts is nothing but bar.
    found = spread(rows, place(64, 32, config("pad")), SIDE, (32, 16))
    np.testing.assert_allclose(found[4:], 0.1, atol=0.05)
    whole = spread(rows, place(32, 32, config("pad")), SIDE, (32, 32))
    assert whole[0, 0] == pytest.approx(0.7, abs=0.1)


def photo(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (200, 200, 200))


def test_heat_is_where_the_weights_are():
    placement = place(64, 32, config("squash"))
    found = np.asarray(heat_over(photo(64, 32), CORNER, SCALE, placement, (64, 32), SIDE))
    assert found.shape == (32, 64, 3)
    # 80 % of the lightest colour and 20 % of grey; 25 % of the darkest and 75 % of grey.
    np.testing.assert_allclose(found[0, 0], [242, 244, 171], atol=1)
    np.testing.assert_allclose(found[-1, -1], [150, 150, 151], atol=1)
    np.testing.assert_allclose(found[0, -1], found[-1, -1], atol=1)
    np.testing.assert_allclose(found[-1, 0], found[-1, -1], atol=1)


def test_what_was_cropped_away_is_dark():
    placement = place(64, 32, config("crop"))
    found = np.asarray(heat_over(photo(32, 16), CORNER, SCALE, placement, (64, 32), SIDE))
    np.testing.assert_array_equal(found[:, :8], 60)
    np.testing.assert_array_equal(found[:, 24:], 60)
    np.testing.assert_allclose(found[0, 8], [242, 244, 171], atol=1)
    assert found[:, 8:24].min() > 60


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [(96, 40), (40, 96), (50, 50)])
def test_heat_lies_where_the_model_saw_it(fit, size):
    """A bright spot of the photo, found in the model's input, is where its heat is drawn."""
    spotted = Image.new("RGB", size)
    at = (size[0] // 2 + 6, size[1] // 2 - 8)
    spotted.paste((255, 255, 255), (at[0] - 3, at[1] - 3, at[0] + 4, at[1] + 4))
    pixels = Preprocessor(config(fit))(encoded(spotted, "PNG")).pixels[..., 0].astype(np.float32)
    weights = pixels.reshape(16, 2, 16, 2).mean(axis=(1, 3))
    weights /= weights.sum()
    scale = scale_of(weights[np.newaxis])
    drawn = heat_over(Image.new("RGB", size), weights, scale, place(*size, config(fit)), size, SIDE)
    warm = np.asarray(drawn, np.float32).sum(axis=-1)
    warm = np.where(warm > 0.7 * warm.max(), warm, 0.0)
    rows, columns = np.indices(warm.shape)
    centre = (columns * warm).sum() / warm.sum(), (rows * warm).sum() / warm.sum()
    assert centre == pytest.approx(at, abs=2.0)
