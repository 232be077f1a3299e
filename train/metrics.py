"""Scores of captions against references: BLEU-1..4, METEOR, ROUGE-L and CIDEr.

Takes texts by image id; returns fractions (CIDEr may pass 1, up to 10). The formulas are
pycocoevalcap's, the corpus-level scores that papers report, unscaled.
"""

import re
from collections.abc import Mapping, Sequence

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from train.errors import EvaluationError
from train.java_tools import meteor_score, ptb_tokenize

METRIC_NAMES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")

Tokenized = dict[str, list[str]]
_IDS_SHOWN = 5
# Words with inner hyphens or apostrophes, and numbers such as 1,000 or 3.5.
_WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+(?:[-'\u2019]\w+)*")


def score_captions(
    references: Mapping[str, Sequence[str]], predictions: Mapping[str, str], *, java: bool = True
) -> dict[str, float]:
    """Scores predicted captions.

    Args:
        references: human captions of each image, at least one.
        predictions: one caption of each image.
        java: tokenize with the PTB tokenizer and compute METEOR, as COCO's evaluation does.
            Without it `plain_tokenize` takes its place and METEOR is left out; the other
            numbers then differ a little from published ones.

    Returns:
        Value by metric, in the order of `METRIC_NAMES`.

    Raises:
        EvaluationError: where ids differ, an image has no reference, or a program fails.
        JavaMissingError: where `java` is asked for and not there.
    """
    _check_ids(references, predictions)
    truth, guesses = _tokenize(references, predictions, java)
    bleu, _ = Bleu(4).compute_score(truth, guesses, verbose=0)
    scores = {f"BLEU-{order}": value for order, value in enumerate(bleu, start=1)}
    if java:
        scores["METEOR"] = meteor_score(truth, guesses)
    scores["ROUGE-L"], _ = Rouge().compute_score(truth, guesses)
    scores["CIDEr"], _ = Cider().compute_score(truth, guesses)
    return {name: float(value) for name, value in scores.items()}


def cider_by_image(
    references: Mapping[str, Sequence[str]], predictions: Mapping[str, str], *, java: bool = True
) -> dict[str, float]:
    """Returns the CIDEr of each image's caption, 0..10; arguments as for `score_captions`."""
    _check_ids(references, predictions)
    truth, guesses = _tokenize(references, predictions, java)
    _, scores = Cider().compute_score(truth, guesses)
    return {image_id: float(score) for image_id, score in zip(truth, scores, strict=True)}


def plain_tokenize(caption: str) -> str:
    """Returns the lower-case words of a caption, joined by spaces; needs no Java.

    A word is a run of letters and digits with inner hyphens and apostrophes; a number keeps its
    inner commas and points; everything else is dropped. `"A dog's T-shirt, size 3.5."` becomes
    `"a dog's t-shirt size 3.5"` (the PTB tokenizer makes two tokens of `dog's`).
    """
    return " ".join(_WORD.findall(caption.lower()))


def _tokenize(
    references: Mapping[str, Sequence[str]], predictions: Mapping[str, str], java: bool
) -> tuple[Tokenized, Tokenized]:
    """Tokenizes all texts in one run, since starting Java takes a second."""
    ids = list(references)
    texts = [text for image_id in ids for text in references[image_id]]
    texts += [predictions[image_id] for image_id in ids]
    tokenized = iter(ptb_tokenize(texts) if java else [plain_tokenize(text) for text in texts])
    truth = {image_id: [next(tokenized) for _ in references[image_id]] for image_id in ids}
    return truth, {image_id: [next(tokenized)] for image_id in ids}


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
