"""An evaluation from the command line's arguments to its results: caption, score, compare, write.

Takes the parsed arguments of `evaluate-captioner`; returns results that are written as JSON, and
as a page where that is asked for. Captions are saved before they are scored, so that no hour of
captioning is lost.
"""

import argparse
import functools
import json
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from model_lib.bundle import default_bundle_path, read_bundle_info
from model_lib.cores import share_cores
from train.arguments import decode_from_flags
from train.bootstrap import (
    SEED,
    SHARE,
    Interval,
    difference_intervals,
    intervals,
    resampled_metrics,
)
from train.calibration import draw_reliability, reliability
from train.candidates import (
    Candidate,
    bundle_candidate,
    labels,
    predictions_path,
    saved_candidate,
)
from train.caption_quality import defects, diversity, score_meaning
from train.datasets import CaptionDataset, SplitName, open_dataset
from train.durable_files import replace_text
from train.evaluation_data import EvaluationData, match_runs
from train.hardware import hardware
from train.java_tools import find_java
from train.metrics import CaptionScores, measure_captions
from train.predictions import read_predictions

_BATCH_SIZE = 32
_HTML_PHOTOS = 48
_DISTRIBUTIONS = ("batch-image-captioning", "keras", "pycocoevalcap", "tensorflow")


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    """Captions, or reads saved captions; scores them; writes the results.

    Args:
        arguments: of `train.evaluate_captioner.build_parser`, checked.

    Returns:
        What was written to `--output`: of a single bundle or file its own results beside those
        of the data, of several a list of them under `models`.

    Raises:
        CaptioningError: where a bundle, the data or the captions are wrong.
    """
    if not arguments.no_java:
        find_java()  # before an hour of captioning, not after it
    data = _collect(arguments)
    start = time.perf_counter()
    captions = [one.captions for one in data.candidates]
    scores = measure_captions(data.references, captions, java=not arguments.no_java)
    models = _models(data, scores, arguments.bootstrap)
    common = {
        "tokenizer": "plain" if arguments.no_java else "ptb",
        **data.about,
        "bootstrap": {"resamples": arguments.bootstrap, "seed": SEED, "share": SHARE},
        "scoring_secs": round(time.perf_counter() - start, 3),
        "hardware": hardware(),
        "versions": _versions(),
    }
    counts = {
        "images": len(data.references),
        "references": sum(len(texts) for texts in data.references.values()),
    }
    if len(models) == 1:
        model = models[0]
        results = {**model, **common, "counts": {**counts, **model["counts"]}}
    else:
        results = {**common, "counts": counts, "models": models}
    _write(arguments, results, data, scores)
    return results


def _collect(arguments: argparse.Namespace) -> EvaluationData:
    """Returns references and captions of a data set, or of a file and finished runs."""
    saved = arguments.predictions_from or []
    if arguments.references is not None:
        named = dict(zip(labels(saved), saved, strict=True))
        return match_runs(arguments.references, named, arguments.limit)
    bundles = arguments.bundles or ([] if saved else [default_bundle_path()])
    for bundle in bundles:
        read_bundle_info(bundle)  # before an hour of captioning, not after it
    if bundles:
        share_cores(arguments.batch_size or _BATCH_SIZE)
    split: SplitName = arguments.split or "dev"
    dataset = open_dataset(
        arguments.data, split, data_dir=arguments.data_dir, limit=arguments.limit
    )
    return EvaluationData(
        dict(zip(dataset.image_ids, dataset.captions, strict=True)),
        _candidates(arguments, bundles, saved, dataset),
        {
            "data": arguments.data,
            "split": split,
            "data_fingerprint": dataset.fingerprint(),
        },
        functools.partial(_read_photos, dataset),
    )


def _read_photos(dataset: CaptionDataset, names: Sequence[str]) -> dict[str, bytes]:
    wanted = set(names)
    return {photo.image_id: photo.encoded for photo in dataset if photo.image_id in wanted}


def _candidates(
    arguments: argparse.Namespace,
    bundles: Sequence[str],
    saved: Sequence[str],
    dataset: CaptionDataset,
) -> list[Candidate]:
    names = labels([*bundles, *saved])
    files = [  # read first, so that a mistake is noticed before the captioning
        saved_candidate(label, read_predictions(path), path)
        for label, path in zip(names[len(bundles) :], saved, strict=True)
    ]
    made = []
    for label, bundle in zip(names, bundles, strict=False):
        path = predictions_path(arguments.output, label, alone=len(bundles) == 1)
        made.append(
            bundle_candidate(
                label,
                bundle,
                dataset,
                Path(arguments.predictions or path),
                settings=functools.partial(decode_from_flags, arguments),
                batch_size=arguments.batch_size or _BATCH_SIZE,
                precision=arguments.precision or "float32",
                encoder_runtime=arguments.encoder_runtime or "tensorflow",
            )
        )
    return [*made, *files]


def _models(
    data: EvaluationData, scores: Sequence[CaptionScores], resamples: int
) -> list[dict[str, Any]]:
    """Returns the results of each candidate; all but the first have differences to the first."""
    drawn = resampled_metrics([one.statistics for one in scores], resamples)
    models: list[dict[str, Any]] = []
    for candidate, score, values in zip(data.candidates, scores, drawn, strict=True):
        found = {name: [one.low, one.high] for name, one in intervals(values).items()}
        model = {
            "label": candidate.label,
            "metrics": score.metrics,
            "intervals": found,
            "counts": {"distinct_captions": len(set(candidate.captions.values()))},
            **candidate.about,
            **_quality(candidate, score, data.references),
        }
        if models:
            apart = difference_intervals(values, drawn[0])
            model["differences"] = {
                name: _difference(score.metrics[name] - scores[0].metrics[name], apart[name])
                for name in score.metrics
            }
        models.append(model)
    return models


def _difference(value: float, interval: Interval) -> dict[str, Any]:
    return {
        "value": value,
        "interval": [interval.low, interval.high],
        "excludes_zero": interval.excludes_zero,
    }


def _quality(
    candidate: Candidate, scores: CaptionScores, references: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Returns what the results say beside the metrics; nothing of captions that were only read."""
    if not candidate.predictions:
        return {}
    return {
        "defects": defects(candidate.predictions),
        "diversity": diversity(candidate.predictions),
        "scores": score_meaning(candidate.predictions, scores.cider),
        "confidence": reliability(candidate.predictions, references, candidate.score_temperature),
    }


def _write(
    arguments: argparse.Namespace,
    results: dict[str, Any],
    data: EvaluationData,
    scores: Sequence[CaptionScores],
) -> None:
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    files = {arguments.output: text}
    if arguments.html is not None:
        from train.comparison_page import render_page
        from train.comparison_photos import choose_photos

        photos = choose_photos(data, scores, arguments.html_photos or _HTML_PHOTOS)
        files[arguments.html] = render_page(results, photos)
    for path, content in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        replace_text(Path(path), content)
    if arguments.reliability is not None:
        draw_reliability(
            results["confidence"],
            results["scores"],
            arguments.reliability,
            results["bundle"]["name"],
        )


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in _DISTRIBUTIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
