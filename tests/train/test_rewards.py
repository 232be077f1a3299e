"""F-mean of words, and its sum with CIDEr-D."""

import numpy as np
import pytest

from train.cider_reward import CiderReward
from train.rewards import FMeanReward, make_reward

# Words 4.., `<start>` 2, `<end>` 3 (which counts as a word), padding 0.
REFERENCES = [
    [[2, 4, 5, 6, 7, 3], [2, 8, 8, 3, 0, 0]],
    [[2, 9, 3, 0, 0, 0], [0, 0, 0, 0, 0, 0]],
]


def f_mean(precision, recall):
    return precision * recall / (0.85 * precision + 0.15 * recall)


@pytest.mark.parametrize(
    ("ids", "row", "expected"),
    [
        ([4, 5, 6, 7, 3], 0, 1.0),
        ([7, 6, 5, 4, 3], 0, 1.0),
        # Two words and `<end>` of five; of the second reference one word counts once.
        ([4, 5, 3, 0, 0], 0, f_mean(1.0, 3 / 5)),
        ([8, 8, 8, 3, 0], 0, f_mean(3 / 4, 1.0)),
        ([4, 8, 3, 0, 0], 0, f_mean(2 / 3, 2 / 3)),
        ([10, 11, 12, 13, 14], 0, 0.0),
        ([0, 0, 0, 0, 0], 0, 0.0),
        ([9, 3, 0, 0, 0], 1, 1.0),
    ],
)
def test_the_best_reference_counts_and_recall_weighs_more(ids, row, expected):
    [[found]] = FMeanReward(REFERENCES)(np.array([[ids]], np.int32), np.array([row]))
    assert found == pytest.approx(expected)


def test_a_photo_without_captions_rewards_nothing():
    reward = FMeanReward([[[0, 0]]])
    assert reward(np.array([[[4, 3]]]), np.array([0])).tolist() == [[0.0]]


def test_the_reward_is_a_weighted_sum():
    ids = np.array([[[4, 5, 3], [8, 8, 3]], [[9, 3, 0], [4, 3, 0]]], np.int32)
    rows = np.array([0, 1])
    cider, words = CiderReward(REFERENCES)(ids, rows), FMeanReward(REFERENCES)(ids, rows)
    assert words.shape == (2, 2)
    found = make_reward(REFERENCES, 0.5)(ids, rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, cider + 0.5 * words, rtol=1e-6)
    np.testing.assert_array_equal(make_reward(REFERENCES, 0.0)(ids, rows), cider)
