"""Human captions from a file, and which of them belong to which image of a finished run.

Takes JSON lines, CSV or Parquet with an image and a caption, or several, in each row; returns
captions by image. An image is named by its URI, an id or a file name; several rows may name the
same. A run names images by URI: it has the references of the same name, else those of the one
reference image with the same base name (the part behind the last slash).
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from train.errors import EvaluationError

IMAGE_COLUMNS = ("uri", "image_id", "file_name", "image")
CAPTION_COLUMNS = ("caption", "captions", "text", "references")
_NAMES_SHOWN = 5

Row = tuple[str, dict[str, Any]]  # where it stands, and its columns


def read_references(path: str | Path) -> dict[str, list[str]]:
    """Reads a file of human captions.

    Args:
        path: `.jsonl` or `.json` (an object a line), `.csv` (with a header), or `.parquet`; with
            one of `IMAGE_COLUMNS` and one of `CAPTION_COLUMNS`, the latter a text or, but for
            CSV, a list of texts.

    Returns:
        Captions by image in the file's order, blank ones left out; at least one image, each with
        at least one caption.

    Raises:
        EvaluationError: where the file is missing, of another kind, or a row makes no sense.
    """
    kind = Path(path).suffix.lower()
    if kind not in _READERS:
        raise EvaluationError(
            f"references {path}: unknown kind {kind!r}; expected {', '.join(_READERS)}"
        )
    references: dict[str, list[str]] = {}
    try:
        for where, row in _READERS[kind](Path(path)):
            image, captions = _read_row(row, where)
            references.setdefault(image, []).extend(captions)
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise EvaluationError(f"references {path} cannot be read: {error}") from error
    found = {image: captions for image, captions in references.items() if captions}
    if not found:
        raise EvaluationError(f"references {path} hold no caption")
    return found


def match_images(images: Iterable[str], references: Iterable[str], source: str) -> dict[str, str]:
    """Finds the references of images.

    `match_images(["gs://b/x/1.jpg", "2.jpg"], ["1.jpg", "3.jpg"], "run")` gives
    `{"1.jpg": "gs://b/x/1.jpg"}`.

    Args:
        images: as a run names them, each once.
        references: as the file of references names them, each once.
        source: of the images, for messages.

    Returns:
        Image by reference image, in the references' order; what has no partner is left out.

    Raises:
        EvaluationError: where a base name has to decide and several images or references have it.
    """
    reference_names = list(references)
    known = set(reference_names)
    names = list(images)
    matched = {name: name for name in names if name in known}
    free_images = _by_base_name(name for name in names if name not in matched)
    free_references = _by_base_name(name for name in reference_names if name not in matched)
    for base in free_images.keys() & free_references.keys():
        if len(free_images[base]) > 1 or len(free_references[base]) > 1:
            raise EvaluationError(_ambiguity(base, free_images, free_references, source))
        matched[free_references[base][0]] = free_images[base][0]
    return {name: matched[name] for name in reference_names if name in matched}


def base_name(image: str) -> str:
    """Returns the last part of a URI, path or file name."""
    return image.rstrip("/").rpartition("/")[2]


def _by_base_name(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(base_name(name), []).append(name)
    return found


def _ambiguity(
    base: str, images: Mapping[str, list[str]], references: Mapping[str, list[str]], source: str
) -> str:
    several = [
        f"{len(names)} {what} ({', '.join(names[:_NAMES_SHOWN])})"
        for what, names in ((f"images of {source}", images[base]), ("references", references[base]))
        if len(names) > 1
    ]
    return (
        f"the file name {base} is that of {' and of '.join(several)}, so that it does not tell "
        "which belong together; name images in the references by the URIs that the run has"
    )


def _read_row(row: Mapping[str, Any], where: str) -> tuple[str, list[str]]:
    image = next((row[name] for name in IMAGE_COLUMNS if row.get(name) is not None), None)
    value = next((row[name] for name in CAPTION_COLUMNS if row.get(name) is not None), None)
    texts: list[Any] = value if isinstance(value, list) else [value]
    if not isinstance(image, str) or not image or not all(isinstance(text, str) for text in texts):
        raise EvaluationError(
            f"{where}: expected an image, a text in one of {', '.join(IMAGE_COLUMNS)}, and a text "
            f"or list of texts in one of {', '.join(CAPTION_COLUMNS)}; got {str(row)[:120]}"
        )
    return image, [text for text in (" ".join(text.split()) for text in texts) if text]


def _read_json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise EvaluationError(f"{path}:{number}: not JSON: {error}") from error
            if not isinstance(row, dict):
                raise EvaluationError(f"{path}:{number}: not a JSON object: {line[:80]!r}")
            yield f"{path}:{number}", row


def _read_csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        for row in reader:
            yield f"{path}:{reader.line_num}", row


def _read_parquet(path: Path) -> Iterator[Row]:
    names = pq.read_schema(path).names
    wanted = [name for name in names if name in (*IMAGE_COLUMNS, *CAPTION_COLUMNS)]
    for number, row in enumerate(pq.read_table(path, columns=wanted).to_pylist(), start=1):
        yield f"{path}, row {number}", row


_READERS = {
    ".jsonl": _read_json_lines,
    ".json": _read_json_lines,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
