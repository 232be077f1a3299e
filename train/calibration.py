"""Whether scores mean what they say: a temperature fitted to human captions, and a picture of it.

Takes captions with their scores and the human captions of the same photos. A caption is right to
the share of its words that stand in at least one human caption of its photo; its confidence
(`model_lib.confidence`) is to be that share. One parameter is fitted, as in temperature scaling
(Guo et al. 2017, https://arxiv.org/abs/1706.04599), so that it cannot follow one data set far.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar

from train.predictions import Prediction

PARTS = 10
_BOUNDS = (0.05, 20.0)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


def word_shares(
    predictions: Sequence[Prediction], references: Mapping[str, Sequence[str]]
) -> np.ndarray[Any, Any]:
    """Returns for each caption the share of its words that its photo's human captions hold.

    "a dog runs" is right by 2/3 where people wrote "the dog" and "a brown animal".

    Args:
        predictions: captions.
        references: human captions by image id.

    Returns:
        float64 [N], 0..1; 0 for a caption without words.
    """
    shares = []
    for one in predictions:
        words = _words(one.caption)
        known = {word for text in references[one.image_id] for word in _words(text)}
        shares.append(sum(word in known for word in words) / max(1, len(words)))
    return np.array(shares)


def fit_temperature(scores: Sequence[float], shares: Sequence[float]) -> float:
    """Finds the temperature whose confidences fit the shares best.

    Args:
        scores: mean log-probabilities, 0 at most.
        shares: of words that are right, 0..1.

    Returns:
        The temperature of least cross-entropy between share and confidence, 0.05..20.
    """
    score, share = np.asarray(scores), np.asarray(shares)

    def cross_entropy(log_temperature: float) -> float:
        guess = np.clip(np.exp(score / np.exp(log_temperature)), 1e-9, 1 - 1e-9)
        return -float(np.mean(share * np.log(guess) + (1 - share) * np.log(1 - guess)))

    found = minimize_scalar(cross_entropy, bounds=np.log(_BOUNDS), method="bounded")
    return float(np.exp(found.x))


def reliability(
    predictions: Sequence[Prediction],
    references: Mapping[str, Sequence[str]],
    temperature: float | None,
) -> dict[str, Any]:
    """Compares confidence with what was right, over captions cut in ten by their scores.

    Args:
        predictions: at least one caption.
        references: human captions by image id.
        temperature: of the bundle; None, where it has none, means the one that fits best here.

    Returns:
        `temperature`; `best_temperature`, that fits these captions best; `error`, the expected
        calibration error: mean distance of confidence and share over the parts, weighted by
        their captions; and `tenths`, lowest scores first: `captions`, `confidence`, `share`.
    """
    scores = np.array([one.score for one in predictions])
    shares = word_shares(predictions, references)
    best = fit_temperature(scores.tolist(), shares.tolist())
    used = temperature or best
    confidence = np.exp(np.minimum(scores, 0.0) / used)
    tenths = [
        {
            "captions": len(part),
            "confidence": round(float(confidence[part].mean()), 4),
            "share": round(float(shares[part].mean()), 4),
        }
        for part in np.array_split(np.argsort(scores, kind="stable"), PARTS)
        if len(part)
    ]
    gaps = [abs(row["confidence"] - row["share"]) for row in tenths]
    error = float(np.average(gaps, weights=[row["captions"] for row in tenths]))
    return {
        "temperature": round(used, 4),
        "best_temperature": round(best, 4),
        "error": round(error, 4),
        "tenths": tenths,
    }


def draw_reliability(
    found: Mapping[str, Any], meaning: Mapping[str, Any], path: str | Path, name: str
) -> None:
    """Draws what scores mean: confidence against right words, and CIDEr by tenth.

    Args:
        found: of `reliability`.
        meaning: of `train.caption_quality.score_meaning`.
        path: of the PNG.
        name: of the model, for the title.
    """
    figure = Figure(figsize=(10, 4), layout="tight")
    left, right = figure.subplots(1, 2)
    guess, share = ([row[key] for row in found["tenths"]] for key in ("confidence", "share"))
    ends = [max(0.0, min(guess + share) - 0.05), min(1.0, max(guess + share) + 0.05)]
    left.plot(ends, ends, color="grey", linewidth=1, label="as it should be")
    left.plot(
        guess, share, marker="o", label=f"tenths of the captions (error {found['error']:.3f})"
    )
    left.set(
        xlabel=f"confidence = exp(score / {found['temperature']:.2f})",
        ylabel="share of words in a human caption",
        title=name,
    )
    right.bar(range(1, len(meaning["tenths"]) + 1), [row["cider"] for row in meaning["tenths"]])
    correlation = meaning["spearman"]
    right.set(
        xlabel="tenth of the captions, lowest scores first",
        ylabel="mean CIDEr",
        title="" if correlation is None else f"rank correlation {correlation:.2f}",
    )
    for axis in (left, right):
        axis.grid(alpha=0.3)
    left.legend()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, format="png")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
