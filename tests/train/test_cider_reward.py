"""The reward is pycocoevalcap's CIDEr-D, on ids."""

import numpy as np
import pytest
from pycocoevalcap.cider.cider import Cider

from model_lib.tokenizer import END_ID, PAD_ID, START_ID
from train.cider_reward import CiderReward

NUM_PHOTOS, LENGTH = 30, 14


def caption(random, with_start):
    """Ids of 1 to 11 words of a skewed vocabulary, so that n-grams repeat; `<end>` and padding."""
    words = np.minimum(random.geometric(0.15, random.integers(1, 12)), 25) + 3
    ids = [*([START_ID] if with_start else []), *words.tolist(), END_ID]
    return ids + [PAD_ID] * (LENGTH - len(ids))


@pytest.fixture(scope="module")
def corpus():
    """References, ids [B,N,T] of candidates near them and far from them, some without an end."""
    random = np.random.default_rng(7)
    references = [[caption(random, True) for _ in range(5)] for _ in range(NUM_PHOTOS)]
    near = [[*photo[0][1:], PAD_ID] for photo in references]
    near = [[word if random.random() < 0.8 else 4 for word in ids] for ids in near]
    far = [caption(random, False) for _ in range(NUM_PHOTOS)]
    cut = [random.integers(4, 12, LENGTH).tolist() for _ in range(NUM_PHOTOS)]
    return references, np.array([near, far, cut], np.int32).swapaxes(0, 1)


def text(ids):
    """Words as pycocoevalcap wants them: ids up to `<end>`, which counts as a word."""
    words = [word for word in ids if word not in (START_ID, PAD_ID)]
    if END_ID in words:
        words = words[: words.index(END_ID) + 1]
    return " ".join(map(str, words))


def test_it_equals_pycocoevalcap(corpus):
    references, candidates = corpus
    reward = CiderReward(references)(candidates, np.arange(NUM_PHOTOS))
    assert (reward.shape, reward.dtype) == ((NUM_PHOTOS, 3), np.float32)
    truth = {n: [text(ids) for ids in photo] for n, photo in enumerate(references)}
    for column in range(3):
        guesses = {n: [text(candidates[n, column])] for n in truth}
        _, expected = Cider().compute_score(truth, guesses)
        np.testing.assert_allclose(reward[:, column], expected, atol=1e-6)
    assert reward[:, 0].mean() > 1.0 > reward[:, 2].mean()


def test_rows_choose_the_photo(corpus):
    references, candidates = corpus
    reward = CiderReward(references)
    whole = reward(candidates, np.arange(NUM_PHOTOS))
    np.testing.assert_array_equal(reward(candidates[[7, 3]], np.array([7, 3])), whole[[7, 3]])


def test_a_caption_equal_to_all_references_has_the_highest_reward():
    references = [[[2, 4, 5, 6, 7, 3]] * 2, [[2, 8, 9, 10, 11, 3]]]
    assert CiderReward(references).score([4, 5, 6, 7, 3], 0) == pytest.approx(10.0)
    assert CiderReward(references).score([4, 5, 6, 7], 0) < 9.0  # the end is missing
    assert CiderReward(references).score([8, 9, 10, 11, 3], 0) < 1.0
    assert CiderReward(references).score([], 0) == 0.0


def test_padding_in_place_of_a_caption_is_no_reference(corpus):
    references, candidates = corpus
    padded = [[*photo, [PAD_ID] * LENGTH] for photo in references]
    rows = np.arange(NUM_PHOTOS)
    np.testing.assert_array_equal(
        CiderReward(padded)(candidates, rows), CiderReward(references)(candidates, rows)
    )
