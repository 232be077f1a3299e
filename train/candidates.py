"""What is scored and compared: captions that a bundle makes now, or that were saved before.

Takes bundles, data sets and files; returns `Candidate`s, each with a label of its own.
"""

import dataclasses
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model_lib.bundle import load_bundle
from model_lib.bundle_info import HASHED_FILES, INFO_FILE
from model_lib.captioner import Captioner
from model_lib.config import DecodeConfig, EncoderRuntime, Precision
from train.building import BUNDLE_FOLDER
from train.datasets import CaptionDataset
from train.predictions import Prediction, predict, write_predictions

PREDICTIONS_SUFFIX = ".predictions.jsonl"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """Captions of a data set, and where they are from.

    Attributes:
        label: short name, different from the others'.
        captions: by image.
        about: what the results say of the source.
        predictions: of a bundle, with scores; none of saved captions.
        score_temperature: of the bundle; None where it has none.
    """

    label: str
    captions: Mapping[str, str]
    about: Mapping[str, Any]
    predictions: Sequence[Prediction] = ()
    score_temperature: float | None = None


def labels(paths: Sequence[str]) -> list[str]:
    """Returns short names of paths: the last parts, as many as tell them apart.

    A folder that is only called `bundle`, as in every training's output, has its parent's name
    with it. `["a/bundle", "b/small", "c/small", "d/x.predictions.jsonl", "d/x.predictions.jsonl"]`
    gives `["a/bundle", "b/small", "c/small", "x", "x (2)"]`.
    """
    parts = [_parts(path) for path in paths]
    found = []
    for place, own in enumerate(parts):
        others = [other for other in parts if other != own]
        size = 2 if own[-1] == BUNDLE_FOLDER else 1
        while size < len(own) and any(other[-size:] == own[-size:] for other in others):
            size += 1
        nth = parts[:place].count(own) + 1
        found.append("/".join(own[-size:]) + (f" ({nth})" if nth > 1 else ""))
    return found


def predictions_path(output: str, label: str, alone: bool) -> Path:
    """Returns where a bundle's captions go: beside the results, with its label if not alone."""
    name = "" if alone else "." + re.sub(r"[^\w.-]+", "_", label)
    return Path(output).with_suffix(f"{name}{PREDICTIONS_SUFFIX}")


def saved_candidate(label: str, captions: Mapping[str, str], path: str) -> Candidate:
    """Returns captions that were read from `path`."""
    return Candidate(label, captions, {"bundle": None, "decode": None, "predictions": path})


def bundle_candidate(
    label: str,
    bundle: str,
    dataset: CaptionDataset,
    path: Path,
    *,
    settings: Callable[[DecodeConfig], DecodeConfig],
    batch_size: int,
    precision: Precision,
    encoder_runtime: EncoderRuntime,
) -> Candidate:
    """Captions a data set with a bundle, after a batch that is not timed.

    Args:
        label: name of the candidate.
        bundle: its folder.
        dataset: the photos.
        path: JSON-lines file for the captions.
        settings: makes the decode settings from the bundle's.
        batch_size: photos in one run of the model.
        precision: of the encoder's arithmetic.
        encoder_runtime: what runs the encoder.

    Returns:
        The captions, and of the model its name, settings, size, parameters and speed.

    Raises:
        CaptioningError: for a bundle, a setting or a photo that is wrong.
    """
    captioner = load_bundle(bundle, precision=precision, encoder_runtime=encoder_runtime)
    decode = settings(captioner.info.decode)
    next(predict(captioner, dataset, decode, batch_size))  # compiles the model
    predictions, secs = _predict(captioner, dataset, decode, batch_size, path, label)
    about = {
        "bundle": {
            "name": captioner.info.name,
            "fingerprint": captioner.info.fingerprint,
            "path": bundle,
        },
        "size_bytes": _size_bytes(bundle),
        "parameters": {
            "encoder": captioner.encoder.count_params(),
            "decoder": captioner.decoder.count_params(),
        },
        "decode": decode.to_dict(),
        "precision": precision,
        "encoder_runtime": encoder_runtime,
        "predictions": str(path),
        "captioning_secs": round(secs, 6),
        "images_per_sec": round(len(predictions) / secs, 3),
    }
    captions = {one.image_id: one.caption for one in predictions}
    return Candidate(label, captions, about, predictions, captioner.info.score_temperature)


def _predict(
    captioner: Captioner,
    dataset: CaptionDataset,
    decode: DecodeConfig,
    batch_size: int,
    path: Path,
    label: str,
) -> tuple[list[Prediction], float]:
    from tqdm import tqdm

    start = time.perf_counter()
    stream = predict(captioner, dataset, decode, batch_size)
    quiet = not sys.stderr.isatty()
    progress = tqdm(stream, label, total=len(dataset), unit="photo", disable=quiet)
    predictions = write_predictions(path, progress)
    return predictions, time.perf_counter() - start


def _size_bytes(bundle: str) -> int:
    """Returns the size of a bundle's files, also of one on an object store."""
    import tensorflow as tf

    paths = [f"{bundle.rstrip('/')}/{name}" for name in (INFO_FILE, *HASHED_FILES)]
    return sum(tf.io.gfile.stat(path).length for path in paths)


def _parts(path: str) -> list[str]:
    whole = path if "://" in path else Path(path).absolute().as_posix()
    return [part for part in whole.removesuffix(PREDICTIONS_SUFFIX).split("/") if part] or [path]
