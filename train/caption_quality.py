"""What is wrong with captions, told without references, and whether scores tell good from bad.

Takes predictions, and the CIDEr of each; returns shares, correlations and tenths as plain values
for the results of an evaluation.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from scipy import stats

from train.predictions import Prediction

PARTS = 10
_LONGEST_PHRASE = 6
_UNKNOWN_MARKS = frozenset(("<unk>", "[unk]", "unk"))


def defects(predictions: Sequence[Prediction]) -> dict[str, float]:
    """Returns the share of captions, 0..1, that have each defect.

    Args:
        predictions: at least one.

    Returns:
        `empty`; `repeated`, see `repeats_itself`; `unknown_word`, a mark for one; `unfinished`,
        cut by the length limit; and `any` of these.
    """
    kinds = {
        "empty": lambda one: not one.caption.split(),
        "repeated": lambda one: repeats_itself(one.caption),
        "unknown_word": lambda one: not _UNKNOWN_MARKS.isdisjoint(one.caption.lower().split()),
        "unfinished": lambda one: not one.finished,
    }
    found = {name: [has(one) for one in predictions] for name, has in kinds.items()}
    found["any"] = [any(flags) for flags in zip(*found.values(), strict=True)]
    return {name: sum(flags) / len(predictions) for name, flags in found.items()}


def repeats_itself(caption: str) -> bool:
    """Whether a phrase of up to six words comes twice in a row, or three words come twice.

    "a man in a man in a hat" -> True; "a dog dog runs" -> True
    "a man and a woman in a park" -> False
    """
    words = caption.split()
    for size in range(1, _LONGEST_PHRASE + 1):
        for start in range(len(words) - 2 * size + 1):
            if words[start : start + size] == words[start + size : start + 2 * size]:
                return True
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return len(triples) > len(set(triples))


def score_meaning(
    predictions: Sequence[Prediction], cider: Mapping[str, float], parts: int = PARTS
) -> dict[str, Any]:
    """Tells whether a higher score means a better caption.

    Args:
        predictions: at least `parts`.
        cider: of each image's caption.
        parts: in how many the captions are cut, sorted by score.

    Returns:
        `pearson` and `spearman`, correlations of score and CIDEr, -1..1 (null where all are
        equal), and `tenths`: of each part, lowest scores first, its `images`, `lowest_score`,
        `mean_score` and mean `cider`.
    """
    ordered = sorted(predictions, key=lambda one: one.score)
    scores = [one.score for one in ordered]
    values = [cider[one.image_id] for one in ordered]
    varied = len(set(scores)) > 1 and len(set(values)) > 1
    bounds = [len(ordered) * part // parts for part in range(parts + 1)]
    tenths = [
        {
            "images": end - start,
            "lowest_score": round(scores[start], 4),
            "mean_score": round(sum(scores[start:end]) / (end - start), 4),
            "cider": round(sum(values[start:end]) / (end - start), 4),
        }
        for start, end in itertools.pairwise(bounds)
        if end > start
    ]
    return {
        "pearson": float(stats.pearsonr(scores, values).statistic) if varied else None,
        "spearman": float(stats.spearmanr(scores, values).statistic) if varied else None,
        "tenths": tenths,
    }


def diversity(predictions: Sequence[Prediction]) -> dict[str, float]:
    """Tells how much captions differ (Li et al. 2016; Shetty et al. 2017).

    Args:
        predictions: at least one, each with at least one candidate.

    Returns:
        `distinct_captions`: different candidates of an image over its candidates; `distinct_1` and
        `distinct_2`: different words and pairs of words over all of an image's; each the mean over
        images, 0..1. `vocabulary`: different words in all best captions; `mean_words`: of a best
        caption.
    """
    texts = [[candidate["caption"] for candidate in one.candidates] for one in predictions]
    best = [one.caption.split() for one in predictions]
    return {
        "distinct_captions": _mean([len(set(some)) / len(some) for some in texts]),
        "distinct_1": _mean([_distinct(some, 1) for some in texts]),
        "distinct_2": _mean([_distinct(some, 2) for some in texts]),
        "vocabulary": float(len({word for words in best for word in words})),
        "mean_words": _mean([len(words) for words in best]),
    }


def _distinct(texts: Sequence[str], order: int) -> float:
    grams = [
        gram
        for text in texts
        for gram in zip(*(text.split()[start:] for start in range(order)), strict=False)
    ]
    return len(set(grams)) / len(grams) if grams else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
