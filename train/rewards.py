"""The reward of self-critical training: CIDEr-D, and METEOR's F-mean of words beside it.

CIDEr-D alone makes captions shorter than people write them; F-mean weighs recall more than
precision, as METEOR does. Only equal words match here, and their order does not count.

Source: Denkowski and Lavie 2014, https://aclanthology.org/W14-3348 (alpha 0.85 for English).
"""

import collections
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from train.cider_reward import CiderReward, real_words

Reward = Callable[[Any, Any], np.ndarray[Any, Any]]
_ALPHA = 0.85


class FMeanReward:
    """Scores captions of known photos by the reference that fits best."""

    def __init__(self, references: Sequence[Sequence[Sequence[int]]]) -> None:
        """Counts words.

        Args:
            references: as for `CiderReward`.
        """
        texts = [[words for ids in photo if (words := real_words(ids))] for photo in references]
        self._references = [[collections.Counter(words) for words in photo] for photo in texts]

    def __call__(self, ids: Any, rows: Any) -> np.ndarray[Any, Any]:
        """Scores captions: ids int [B,N,T] and rows int [B] give float32 [B,N], 0..1."""
        scores = [
            [self.score(real_words(caption), int(row)) for caption in captions]
            for captions, row in zip(ids.tolist(), rows.tolist(), strict=True)
        ]
        return np.asarray(scores, np.float32)

    def score(self, words: Sequence[int], row: int) -> float:
        """Returns the largest F-mean of one caption over a photo's references."""
        caption = collections.Counter(words)
        return max((_f_mean(caption, ref) for ref in self._references[row]), default=0.0)


def make_reward(references: Sequence[Sequence[Sequence[int]]], f_mean_weight: float) -> Reward:
    """Makes the reward CIDEr-D + weight * F-mean.

    Args:
        references: as for `CiderReward`.
        f_mean_weight: 0 leaves F-mean out.

    Returns:
        A function of captions int [B,N,T] and their photos' rows int [B] that returns float32
        [B,N].
    """
    cider = CiderReward(references)
    if not f_mean_weight:
        return cider
    f_mean = FMeanReward(references)
    return lambda ids, rows: cider(ids, rows) + np.float32(f_mean_weight) * f_mean(ids, rows)


def _f_mean(caption: collections.Counter[int], reference: collections.Counter[int]) -> float:
    """P * R / (alpha * P + (1 - alpha) * R), of precision P and recall R."""
    matches = (caption & reference).total()
    if not matches:
        return 0.0
    precision, recall = matches / caption.total(), matches / reference.total()
    return precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
