"""What the metrics of a corpus are computed from, image by image, as numbers that may be added.

Takes tokenized captions; returns a table with a row an image. The sums of any selection of rows
give the metrics of that selection: BLEU from the counts that Papineni et al. (2002) add up over a
corpus, METEOR from its own counts (Denkowski and Lavie 2014), ROUGE-L and CIDEr as means of the
images' scores. CIDEr weighs words by the whole corpus of references, whatever the selection.

Legend: I images, R selections of them, K columns.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[Any]]

ORDERS = 4
BLEU_COLUMNS = 2 + 2 * ORDERS
METEOR_COLUMNS = 23
_ROUGE, _CIDER = BLEU_COLUMNS, BLEU_COLUMNS + 1
_METEOR = _CIDER + 1
# pycocoevalcap's guards against division by zero.
_TINY, _SMALL = 1e-15, 1e-9
# METEOR 1.5's parameters for English, and the weights of its four ways to match: equal words,
# equal stems, synonyms, paraphrases.
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.20, 0.60, 0.75
_MATCH_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])


@dataclasses.dataclass(frozen=True)
class ImageStatistics:
    """The numbers of a corpus of captions.

    Attributes:
        table: float64 [I,K]: BLEU's counts, ROUGE-L, CIDEr and, where it was run, METEOR's counts.
    """

    table: Floats

    @property
    def cider(self) -> Floats:
        """CIDEr of each image, float64 [I], 0..10."""
        return self.table[:, _CIDER]


def image_statistics(
    bleu_counts: Sequence[Mapping[str, Any]],
    rouge: Floats,
    cider: Floats,
    meteor: Floats | None = None,
) -> ImageStatistics:
    """Joins the numbers of all metrics.

    Args:
        bleu_counts: of each image as pycocoevalcap's `BleuScorer.ctest` holds them.
        rouge: ROUGE-L of each image, [I].
        cider: CIDEr of each image, [I].
        meteor: METEOR's counts of each image, [I,23], as its program gives them.
    """
    bleu = np.array([_bleu_row(counts) for counts in bleu_counts], np.float64)
    parts = [bleu, np.reshape(rouge, (-1, 1)), np.reshape(cider, (-1, 1))]
    if meteor is not None:
        parts.append(_addable(meteor))
    return ImageStatistics(np.concatenate(parts, axis=1))


def corpus_metrics(sums: Floats, num_images: int) -> dict[str, Floats]:
    """Returns the metrics of selections of images.

    Args:
        sums: float64 [R,K]: of each selection the sum of its images' rows.
        num_images: in each selection.

    Returns:
        Value by metric, float64 [R], named and ordered as `train.metrics.METRIC_NAMES`.
    """
    metrics = dict(_bleu(sums))
    if sums.shape[1] > _METEOR:
        metrics["METEOR"] = _meteor(sums[:, _METEOR:])
    metrics["ROUGE-L"] = sums[:, _ROUGE] / num_images
    metrics["CIDEr"] = sums[:, _CIDER] / num_images
    return metrics


def _bleu_row(counts: Mapping[str, Any]) -> list[float]:
    """Returns words, words of the reference nearest in length, n-grams, and n-grams that match."""
    words = counts["testlen"]
    _, nearest = min((abs(length - words), length) for length in counts["reflen"])
    return [words, nearest, *counts["guess"], *counts["correct"]]


def _bleu(sums: Floats) -> list[tuple[str, Floats]]:
    words, nearest = sums[:, 0], sums[:, 1]
    guessed, correct = sums[:, 2 : 2 + ORDERS], sums[:, 2 + ORDERS : BLEU_COLUMNS]
    precision = np.cumprod((correct + _TINY) / (guessed + _SMALL), axis=1)
    ratio = (words + _TINY) / (nearest + _SMALL)
    brevity = np.exp(1 - 1 / np.minimum(ratio, 1.0))
    return [
        (f"BLEU-{order}", precision[:, order - 1] ** (1 / order) * brevity)
        for order in range(1, ORDERS + 1)
    ]


def _addable(counts: Floats) -> Floats:
    """Leaves out the chunk of captions that match as a whole, as METEOR does when it adds up."""
    words, reference_words, chunks = counts[:, 0], counts[:, 1], counts[:, 20]
    matched, reference_matched = counts[:, 21], counts[:, 22]
    whole = (words == matched) & (reference_words == reference_matched) & (chunks == 1)
    added: Floats = counts.copy()
    added[whole, 20] = 0
    return added


def _meteor(counts: Floats) -> Floats:
    """Returns METEOR, [R], of counts [R,23].

    The columns: words of caption and reference; function words of both; for each way to match,
    content words of both and function words of both that match; chunks; words of both that match.
    """
    matches = counts[:, 4:20].reshape(-1, 4, 2, 2)  # way, content or function, caption or reference
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = []
        for side in (0, 1):
            content = counts[:, side] - counts[:, 2 + side]
            length = _DELTA * content + (1 - _DELTA) * counts[:, 2 + side]
            weighed = _DELTA * matches[:, :, 0, side] + (1 - _DELTA) * matches[:, :, 1, side]
            shares.append(weighed @ _MATCH_WEIGHTS / length)
        mean = 1 / ((1 - _ALPHA) / shares[0] + _ALPHA / shares[1])
        fragments = counts[:, 20] / ((counts[:, 21] + counts[:, 22]) / 2)
        scores = mean * (1 - _GAMMA * fragments**_BETA)
    found: Floats = np.where(np.isnan(scores), 0.0, scores)  # not a number: nothing matches
    return found
