import math

import pytest

from model_lib.confidence import confidence_of


@pytest.mark.parametrize(
    ("score", "temperature", "confidence"),
    [(0.0, 2.0, 1.0), (-0.8, 2.0, math.exp(-0.4)), (-0.8, 1.0, math.exp(-0.8)), (-2000, 1, 0.0)],
)
def test_confidence_is_the_score_made_a_probability(score, temperature, confidence):
    assert confidence_of(score, temperature) == confidence


def test_rounding_above_zero_is_no_more_than_certain():
    assert confidence_of(1e-9, 2.0) == 1.0
