"""Predicted captions of a data set, as JSON lines.

Takes a captioner and a data set; keeps one line a photo:
`{"image_id", "caption", "score", "candidates": [{"caption", "log_prob", "score"}], "finished"}`.
"""

import dataclasses
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from model_lib.caption import Caption
from model_lib.captioner import Captioner
from model_lib.config import DecodeConfig
from model_lib.errors import ImageError
from train.datasets import CaptionDataset
from train.errors import DatasetError, EvaluationError
from train.references import base_name


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a model says of one photo.

    Attributes:
        image_id: file name of the photo.
        caption: the best caption.
        score: its log-probability (natural log) a token.
        candidates: all captions, best first: `caption`, `log_prob` and `score` of each.
        finished: false where the length limit cut the best caption.
    """

    image_id: str
    caption: str
    score: float
    candidates: tuple[dict[str, Any], ...]
    finished: bool = True


def predict(
    captioner: Captioner, dataset: CaptionDataset, decode: DecodeConfig, batch_size: int
) -> Iterator[Prediction]:
    """Captions a data set; no more than a batch of photos is in memory.

    Args:
        captioner: the model.
        dataset: the photos.
        decode: how captions are drawn.
        batch_size: photos in one run of the network; does not change the captions.

    Yields:
        A prediction for each photo, in the data set's order.

    Raises:
        DatasetError: where a photo cannot be read; names it.
    """
    photos = iter(dataset)
    while batch := list(itertools.islice(photos, batch_size)):
        prepared = []
        for photo in batch:
            try:
                prepared.append(captioner.preprocessor(photo.encoded))
            except ImageError as error:
                reason = f"{photo.image_id}: {type(error).__name__}: {error}"
                raise DatasetError(f"{reason}; replace the photo or take it out") from error
        captions = captioner.caption_prepared(prepared, decode, batch_size)
        for photo, found in zip(batch, captions, strict=True):
            yield _prediction(photo.image_id, found)


def write_predictions(path: str | Path, predictions: Iterable[Prediction]) -> list[Prediction]:
    """Writes predictions as they come; the file has its name only when it is whole.

    Args:
        path: file to write; its folder is made.
        predictions: may be a generator.

    Returns:
        What was written.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".part")
    written = []
    with unfinished.open("w", encoding="utf-8") as file:
        for prediction in predictions:
            file.write(json.dumps(dataclasses.asdict(prediction), ensure_ascii=False) + "\n")
            written.append(prediction)
    os.replace(unfinished, target)
    return written


def read_predictions(path: str | Path) -> dict[str, str]:
    """Reads captions by file name; arguments and errors as for `read_captions`.

    Raises:
        EvaluationError: also where images of a captions table have the same file name.
    """
    captions: dict[str, str] = {}
    is_table = _is_table(Path(path))
    for image, caption in read_captions(path).items():
        image_id = base_name(image) if is_table else image
        if image_id in captions:
            raise EvaluationError(f"{path}: a second prediction for {image_id} ({image})")
        captions[image_id] = caption
    return captions


def read_captions(path: str | Path) -> dict[str, str]:
    """Reads captions by image, named as the file has it; other keys are not looked at.

    Args:
        path: JSON lines, each with `image_id` and `caption`; or what `caption-images` wrote, its
            output folder or Parquet files of its captions table, where `uri` names the image.

    Raises:
        EvaluationError: where the file is not there, a line is not such an object, or an image
            comes twice.
    """
    rows = _read_table(Path(path)) if _is_table(Path(path)) else _read_lines(path)
    captions: dict[str, str] = {}
    for where, image, caption in rows:
        if image in captions:
            raise EvaluationError(f"{where}: a second prediction for {image}")
        captions[image] = caption
    return captions


def _prediction(image_id: str, captions: list[Caption]) -> Prediction:
    candidates = tuple(
        {"caption": caption.text, "log_prob": caption.log_prob, "score": caption.score}
        for caption in captions
    )
    best = captions[0]
    return Prediction(image_id, best.text, best.score, candidates, best.finished)


def _is_table(path: Path) -> bool:
    return path.is_dir() or path.suffix == ".parquet"


def _read_table(path: Path) -> Iterator[tuple[str, str, str]]:
    """Reads a captions table of the job."""
    tables = path / "captions" if (path / "captions").is_dir() else path
    try:
        rows = ds.dataset(tables, format="parquet").to_table(["uri", "caption"]).to_pylist()
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise EvaluationError(f"predictions {path} are no captions table: {error}") from error
    return ((str(path), row["uri"], row["caption"]) for row in rows)


def _read_lines(path: str | Path) -> Iterator[tuple[str, str, str]]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"predictions {path} cannot be read: {error}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{path}:{number}"
            yield where, *_read_line(line, where)


def _read_line(line: str, where: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
        image_id, caption = row["image_id"], row["caption"]
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{where}: expected a JSON object with image_id and caption; got {line[:80]!r}"
        ) from error
    if not isinstance(image_id, str) or not isinstance(caption, str):
        raise EvaluationError(f"{where}: image_id and caption must be strings; got {line[:80]!r}")
    return image_id, caption
