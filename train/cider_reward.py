"""CIDEr-D on token ids, as a reward for self-critical training.

Takes captions as ids and the references of the photos; returns the score that pycocoevalcap's
CIDEr gives (a test holds it equal), with document frequencies of the whole training set, fast
enough to be called for every batch. `<end>` counts as a word, so that a cut-off caption loses.

Source: Vedantam et al. 2015, https://arxiv.org/abs/1411.5726; sigma 6, n-grams of 1 to 4 words.
"""

import collections
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from model_lib.tokenizer import END_ID, PAD_ID, START_ID

_MAX_N = 4
_SIGMA = 6.0
_SCALE = 10.0
NGram = tuple[int, ...]


class CiderReward:
    """Scores captions of known photos."""

    def __init__(self, references: Sequence[Sequence[Sequence[int]]]) -> None:
        """Counts n-grams of all references.

        Args:
            references: for each photo its captions as ids, at least one; `<start>` and padding
                are ignored, and so is a caption that is padding alone.
        """
        texts = [[words for ids in photo if (words := real_words(ids))] for photo in references]
        counts = [[_ngram_counts(words) for words in photo] for photo in texts]
        self._frequency: collections.Counter[NGram] = collections.Counter()
        for photo in counts:
            self._frequency.update({ngram for caption in photo for ngram in caption})
        self._log_photos = math.log(max(len(references), 1))
        self._references = [[self._vector(caption) for caption in photo] for photo in counts]

    def __call__(self, ids: Any, rows: Any) -> np.ndarray[Any, Any]:
        """Scores captions.

        Args:
            ids: int [B,N,T], N captions of each photo, padding after `<end>`.
            rows: int [B], the photos' places in `references`.

        Returns:
            float32 [B,N], 0..10.
        """
        scores = [
            [self.score(real_words(caption), int(row)) for caption in captions]
            for captions, row in zip(ids.tolist(), rows.tolist(), strict=True)
        ]
        return np.asarray(scores, np.float32)

    def score(self, words: Sequence[int], row: int) -> float:
        """Returns the mean CIDEr-D of one caption over a photo's references."""
        references = self._references[row]
        candidate = self._vector(_ngram_counts(words))
        return _SCALE * sum(_similarity(candidate, ref) for ref in references) / len(references)

    def _vector(self, counts: dict[NGram, int]) -> "_Vector":
        vector = _Vector([{} for _ in range(_MAX_N)], [0.0] * _MAX_N, 0)
        for ngram, count in counts.items():
            order = len(ngram) - 1
            idf = self._log_photos - math.log(max(1.0, self._frequency[ngram]))
            weight = count * idf
            vector.weights[order][ngram] = weight
            vector.norms[order] += weight * weight
            if order == 1:  # pycocoevalcap measures length in bigrams
                vector.length += count
        vector.norms[:] = [math.sqrt(norm) for norm in vector.norms]
        return vector


class _Vector:
    """TF-IDF weights of a caption's n-grams by length, their norms, and its length."""

    __slots__ = ("length", "norms", "weights")

    def __init__(self, weights: list[dict[NGram, float]], norms: list[float], length: int) -> None:
        self.weights = weights
        self.norms = norms
        self.length = length


def _similarity(candidate: _Vector, reference: _Vector) -> float:
    """Mean over n of the clipped cosine, times a Gaussian of the difference in length."""
    total = 0.0
    for order in range(_MAX_N):
        norm = candidate.norms[order] * reference.norms[order]
        if norm:
            weights = reference.weights[order]
            dot = sum(
                min(weight, weights[ngram]) * weights[ngram]
                for ngram, weight in candidate.weights[order].items()
                if ngram in weights
            )
            total += dot / norm
    difference = candidate.length - reference.length
    return total / _MAX_N * math.exp(-(difference**2) / (2 * _SIGMA**2))


def _ngram_counts(words: Sequence[int]) -> dict[NGram, int]:
    counts: dict[NGram, int] = {}
    for n in range(1, _MAX_N + 1):
        for start in range(len(words) - n + 1):
            ngram = tuple(words[start : start + n])
            counts[ngram] = counts.get(ngram, 0) + 1
    return counts


def real_words(ids: Iterable[int]) -> list[int]:
    """Drops `<start>` and padding and all that follows `<end>`.

    `[2, 7, 9, 3, 0, 0]` -> `[7, 9, 3]`.
    """
    words: list[int] = []
    for token in ids:
        if token in (START_ID, PAD_ID):
            continue
        words.append(int(token))
        if token == END_ID:
            break
    return words
