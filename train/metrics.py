"""Scores of captions against references: BLEU-1..4, METEOR, ROUGE-L and CIDEr.

Takes texts by image id; returns fractions (CIDEr may pass 1, up to 10). The formulas are
pycocoevalcap's, the corpus-level scores that papers report, unscaled.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

from pycocoevalcap.bleu.bleu_scorer import BleuScorer
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from train.errors import EvaluationError
from train.image_statistics import ORDERS, Floats, ImageStatistics, image_statistics
from train.java_tools import meteor_counts, ptb_tokenize

METRIC_NAMES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")

Tokenized = dict[str, list[str]]
_IDS_SHOWN = 5
# Words with inner hyphens or apostrophes, and numbers such as 1,000 or 3.5.
_WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+(?:[-'\u2019]\w+)*")


@dataclasses.dataclass(frozen=True)
class CaptionScores:
    """How good a model's captions of a data set are.

    Attributes:
        metrics: value by metric, in the order of `METRIC_NAMES`.
        cider: CIDEr of each image's caption by image id, 0..10; its mean is the metric.
        statistics: of each image, for intervals; in the order of the references.
    """

    metrics: dict[str, float]
    cider: dict[str, float]
    statistics: ImageStatistics


def score_captions(
    references: Mapping[str, Sequence[str]], predictions: Mapping[str, str], *, java: bool = True
) -> dict[str, float]:
    """Returns the metrics of one model; arguments and errors as for `measure_captions`."""
    return measure_captions(references, [predictions], java=java)[0].metrics


def measure_captions(
    references: Mapping[str, Sequence[str]],
    models: Sequence[Mapping[str, str]],
    *,
    java: bool = True,
) -> list[CaptionScores]:
    """Scores the captions of one or more models; everything is tokenized once.

    Args:
        references: human captions of each image, at least one.
        models: one caption of each image, of each model.
        java: tokenize with the PTB tokenizer and compute METEOR, as COCO's evaluation does.
            Without it `plain_tokenize` takes its place and METEOR is left out; the other
            numbers then differ a little from published ones.

    Returns:
        The scores of each model.

    Raises:
        EvaluationError: where ids differ, an image has no reference, or a program fails.
        JavaMissingError: where `java` is asked for and not there.
    """
    for predictions in models:
        _check_ids(references, predictions)
    truth, guesses = _tokenize(references, models, java)
    meteor = meteor_counts(truth, guesses) if java else [None] * len(models)
    return [_measure(truth, *pair) for pair in zip(guesses, meteor, strict=True)]


def plain_tokenize(caption: str) -> str:
    """Returns the lower-case words of a caption, joined by spaces; needs no Java.

    A word is a run of letters and digits with inner hyphens and apostrophes; a number keeps its
    inner commas and points; everything else is dropped. `"A dog's T-shirt, size 3.5."` becomes
    `"a dog's t-shirt size 3.5"` (the PTB tokenizer makes two tokens of `dog's`).
    """
    return " ".join(_WORD.findall(caption.lower()))


def _measure(
    truth: Tokenized, guesses: Tokenized, meteor: tuple[float, Floats] | None
) -> CaptionScores:
    """Scores tokenized captions by pycocoevalcap's programs."""
    scorer = BleuScorer(n=ORDERS)
    for image_id, references in truth.items():
        scorer += (guesses[image_id][0], references)
    bleu, _ = scorer.compute_score(option="closest")
    metrics = {f"BLEU-{order}": value for order, value in enumerate(bleu, start=1)}
    if meteor:
        metrics["METEOR"] = meteor[0]
    metrics["ROUGE-L"], rouge = Rouge().compute_score(truth, guesses)
    metrics["CIDEr"], cider = Cider().compute_score(truth, guesses)
    return CaptionScores(
        metrics={name: float(value) for name, value in metrics.items()},
        cider=dict(zip(truth, map(float, cider), strict=True)),
        statistics=image_statistics(scorer.ctest, rouge, cider, meteor[1] if meteor else None),
    )


def _tokenize(
    references: Mapping[str, Sequence[str]], models: Sequence[Mapping[str, str]], java: bool
) -> tuple[Tokenized, list[Tokenized]]:
    """Tokenizes all texts in one run, since starting Java takes a second."""
    ids = list(references)
    texts = [text for image_id in ids for text in references[image_id]]
    texts += [predictions[image_id] for predictions in models for image_id in ids]
    tokenized = iter(ptb_tokenize(texts) if java else [plain_tokenize(text) for text in texts])
    truth = {image_id: [next(tokenized) for _ in references[image_id]] for image_id in ids}
    return truth, [{image_id: [next(tokenized)] for image_id in ids} for _ in models]


def _check_ids(references: Mapping[str, Sequence[str]], predictions: Mapping[str, str]) -> None:
    if not references:
        raise EvaluationError("there is nothing to score: no image has references")
    bare = [image_id for image_id in references if not references[image_id]]
    surplus = [image_id for image_id in predictions if image_id not in references]
    missing = [image_id for image_id in references if image_id not in predictions]
    faults = [
        _listing(bare, "images have an empty list of references"),
        _listing(surplus, "predictions are of images without references"),
        _listing(missing, "images with references have no prediction"),
    ]
    message = "; ".join(fault for fault in faults if fault)
    if message:
        raise EvaluationError(f"{message}; score a split against its own predictions")


def _listing(ids: list[str], what: str) -> str:
    more = ", ..." if len(ids) > _IDS_SHOWN else ""
    return f"{len(ids)} {what}: {', '.join(ids[:_IDS_SHOWN])}{more}" if ids else ""
