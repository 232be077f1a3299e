import dataclasses

import numpy as np
import pytest
from PIL import Image

from beam_jobs.explaining.heat import heat_over, scale_of
from beam_jobs.explaining.layout import PictureConfig, lay_out
from beam_jobs.explaining.picture import draw_explanation
from model_lib.attention import Explanation
from model_lib.caption import Caption
from model_lib.config import PreprocessConfig
from model_lib.errors import TruncatedImageError
from model_lib.preprocessing import Preprocessor, place
from tests.images import encoded, sample_image

WORDS = ("a", "dog", "runs", "in", "the", "green", "grass")
PREPROCESS = PreprocessConfig(image_size=32)
CONFIG = PictureConfig(panel_width=120)
DATA = encoded(sample_image(240, 160), "PNG")


def explanation(words: tuple[str, ...] = WORDS, data: bytes = DATA) -> Explanation:
    random = np.random.default_rng(0)
    weights, contributions = random.dirichlet(np.ones(16), (2, len(words))).astype(np.float32)
    text = " ".join(words)
    return Explanation(
        caption=Caption(text, (4,) * len(words), -4.0, -0.5, 8, True),
        confidence=0.7,
        words=words,
        log_probs=np.linspace(-2, -0.1, len(words), dtype=np.float32),
        weights=weights.reshape(-1, 4, 4),
        contributions=contributions.reshape(-1, 4, 4),
        image=Preprocessor(PREPROCESS)(data),
    )


def panels(picture: Image.Image, found: Explanation, config: PictureConfig) -> list[np.ndarray]:
    """Cuts the words' photos out of a picture."""
    size = (found.image.width, found.image.height)
    layout = lay_out(found.caption.text, len(found.words), size, config)
    assert picture.size == layout.size
    return [
        np.asarray(picture)[y + config.line :, x:][: layout.panel[1], : layout.panel[0]]
        for x, y in layout.words
    ]


@pytest.mark.parametrize("heat", ["contributions", "weights"])
def test_every_word_has_a_panel_with_its_own_heat(heat):
    found, config = explanation(), dataclasses.replace(CONFIG, heat=heat)
    drawn = panels(draw_explanation(found, DATA, PREPROCESS, config), found, config)
    shares = getattr(found, heat)
    photo = sample_image(240, 160).resize((120, 80), Image.Resampling.LANCZOS)
    assert len(drawn) == len(WORDS)
    for panel, of_word in zip(drawn, shares, strict=True):
        expected = heat_over(
            photo, of_word, scale_of(shares), place(240, 160, PREPROCESS), (240, 160), 32
        )
        # The photo comes by way of the large one, so it may differ a little.
        np.testing.assert_allclose(panel, np.asarray(expected), atol=6)


def test_the_photo_is_there_as_it_is_with_its_caption_below():
    found = explanation()
    picture = draw_explanation(found, DATA, PREPROCESS, CONFIG)
    layout = lay_out(found.caption.text, len(WORDS), (240, 160), CONFIG)
    left, top = layout.margin, layout.margin + CONFIG.line
    photo = picture.crop((left, top, left + layout.photo[0], top + layout.photo[1]))
    expected = sample_image(240, 160).resize(layout.photo, Image.Resampling.LANCZOS)
    np.testing.assert_allclose(np.asarray(photo), np.asarray(expected), atol=3)
    below = np.asarray(picture)[top + layout.photo[1] :, left : left + layout.photo[0]]
    assert (below[: layout.caption_line + CONFIG.gap] < 100).any()


def test_titles_and_legend_are_written():
    found = explanation()
    layout = lay_out(found.caption.text, len(WORDS), (240, 160), CONFIG)
    pixels = np.asarray(draw_explanation(found, DATA, PREPROCESS, CONFIG))
    for x, y in layout.words:
        assert (pixels[y : y + CONFIG.line, x : x + layout.panel[0]] < 100).any()
    foot = pixels[layout.size[1] - layout.margin - CONFIG.line : layout.size[1] - layout.margin + 2]
    # The scale's last colours are in it, and text at the right end.
    assert (np.abs(foot.astype(int) - [252, 255, 164]).max(axis=-1) < 5).any()
    assert (foot[:, -layout.margin - 60 :] < 200).any()


def test_a_caption_without_words_is_a_photo_alone():
    found = explanation(())
    picture = draw_explanation(found, DATA, PREPROCESS, CONFIG)
    assert picture.size == lay_out("(empty caption)", 0, (240, 160), CONFIG).size


@pytest.mark.parametrize("size", [(1000, 8), (8, 1000), (30, 20)])
@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_photos_of_any_shape_are_drawn(size, fit):
    data = encoded(sample_image(*size), "JPEG")
    preprocess = PREPROCESS.replace(fit=fit)
    found = dataclasses.replace(explanation(data=data), image=Preprocessor(preprocess)(data))
    picture = draw_explanation(found, data, preprocess, CONFIG)
    assert len(panels(picture, found, CONFIG)) == len(WORDS)


def test_the_same_explanation_gives_the_same_picture():
    first, second = (draw_explanation(explanation(), DATA, PREPROCESS, CONFIG) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_a_damaged_photo_is_an_error():
    with pytest.raises(TruncatedImageError):
        draw_explanation(explanation(), DATA[:-20], PREPROCESS, CONFIG)
