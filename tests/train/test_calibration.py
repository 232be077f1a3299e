"""Confidence is fitted to the share of words that people used."""

import numpy as np
import pytest
from PIL import Image

from train.calibration import draw_reliability, fit_temperature, reliability, word_shares
from train.predictions import Prediction

REFERENCES = {
    "a.jpg": ("The dog, running.", "a brown animal"),
    "b.jpg": ("nobody's here",),
    "c.jpg": ("snow",),
}


def prediction(image_id, caption, score):
    return Prediction(image_id, caption, score, ({"caption": caption},))


def drawn_to_temperature(temperature, count=400):
    """Captions of one-word parts whose share right is exactly exp(score / temperature)."""
    scores = np.linspace(-1.6, -0.2, count)
    return scores, np.exp(scores / temperature)


def test_a_word_is_right_where_any_human_caption_has_it():
    found = word_shares(
        [
            prediction("a.jpg", "a dog runs", -1.0),
            prediction("b.jpg", "Nobody's HERE nobody", -1.0),
            prediction("c.jpg", "", -1.0),
        ],
        REFERENCES,
    )
    np.testing.assert_allclose(found, [2 / 3, 2 / 3, 0.0])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 7.5])
def test_the_temperature_that_made_the_shares_is_found(temperature):
    assert fit_temperature(*drawn_to_temperature(temperature)) == pytest.approx(
        temperature, rel=1e-3
    )


def test_captions_that_are_always_right_or_never_stay_in_bounds():
    assert fit_temperature([-1.0, -2.0], [1.0, 1.0]) == pytest.approx(20.0, rel=1e-3)
    assert fit_temperature([-1.0, -2.0], [0.0, 0.0]) == pytest.approx(0.05, rel=1e-3)
    assert 0.05 <= fit_temperature([0.0], [0.5]) <= 20.0


def test_tenths_compare_confidence_with_what_was_right():
    # 20 captions of two words; the surer half is right in both, the other in one.
    captions = [
        prediction("a.jpg", "dog dog" if row >= 10 else "dog cat", -2.0 if row < 10 else -0.1)
        for row in range(20)
    ]
    found = reliability(captions, REFERENCES, 2.0)
    assert found["tenths"][0] == {"captions": 2, "confidence": 0.3679, "share": 0.5}
    assert found["tenths"][9] == {"captions": 2, "confidence": 0.9512, "share": 1.0}
    assert found["temperature"] == 2.0
    assert found["error"] == pytest.approx((0.1321 + 0.0488) / 2, abs=2e-4)
    fitted = reliability(captions, REFERENCES, None)
    assert fitted["temperature"] == fitted["best_temperature"] == found["best_temperature"]
    assert fitted["temperature"] > 2.0


def test_fewer_captions_than_parts_are_fewer_parts():
    found = reliability([prediction("a.jpg", "a dog", -0.5)], REFERENCES, 1.0)
    assert found["tenths"] == [{"captions": 1, "confidence": 0.6065, "share": 1.0}]


def test_the_picture_is_drawn(tmp_path):
    found = reliability([prediction("a.jpg", "a dog", -0.5)], REFERENCES, 1.0)
    meaning = {"spearman": None, "tenths": [{"cider": 0.4}]}
    draw_reliability(found, meaning, tmp_path / "picture.png", "toy")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.size == (1100, 440)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20
