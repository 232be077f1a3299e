"""Reads which photo of a folder has which captions, and which photo is for training.

Takes a folder in one of two layouts; returns its photos by split.

    captions.tsv, images/*            lines `file name <TAB> caption`, several lines a photo
    metadata.jsonl or .csv, photos    Hugging Face's ImageFolder: `file_name` and `text`; text may
                                      be a list; also one such folder a split, `train/` and `dev/`

`train.txt` and `dev.txt` beside the table (one file name a line) say the split. Without them a
share of the photos, chosen by the hash of the file name, is `dev`.
"""

import csv
import dataclasses
import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from train.errors import DatasetError

Captions = dict[str, list[str]]

SPLIT_NAMES = ("train", "dev")
_DEV_FOLDERS = ("dev", "validation", "valid", "val")
_PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
_NAMES_SHOWN = 5
_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class PhotoFile:
    """A photo on disk and its captions.

    Attributes:
        name: file name as the table has it; unique in the folder.
        path: where the photo is.
        captions: at least one, none blank, in the table's order.
    """

    name: str
    path: Path
    captions: tuple[str, ...]


def read_photo_folder(folder: str | Path, dev_share: float = 0.1) -> dict[str, list[PhotoFile]]:
    """Returns a folder's captioned photos by split.

    Args:
        folder: as described at the top of this module.
        dev_share: share of the photos that is `dev` where the folder does not say, 0..1.

    Returns:
        `{"train": [...], "dev": [...]}`, in the order of the split files or of the table.

    Raises:
        DatasetError: where there is no table, a line of it makes no sense, a photo that it
            names is not there, or the split files contradict it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder of captioned photos")
    split_folders = _split_folders(root)
    if split_folders:
        return {name: _photos(root, path) for name, path in split_folders.items()}
    photos = {photo.name: photo for photo in _photos(root, root)}
    return {
        name: [photos[photo] for photo in names]
        for name, names in _split_names(root, list(photos), dev_share).items()
    }


def table_paths(folder: str | Path) -> list[Path]:
    """Returns the tables and split files that `read_photo_folder` reads, those that exist."""
    root = Path(folder)
    split_folders = _split_folders(root) or {"": root}
    tables = [path for path in map(_find_table, split_folders.values()) if path]
    return tables + [root / f"{n}.txt" for n in SPLIT_NAMES if (root / f"{n}.txt").is_file()]


def _split_folders(root: Path) -> dict[str, Path]:
    """Returns the two folders of a data set that is laid out as a folder a split, or none."""
    dev = [root / name for name in _DEV_FOLDERS if _find_table(root / name)]
    if _find_table(root) or not dev or not _find_table(root / "train"):
        return {}
    return {"train": root / "train", "dev": dev[0]}


def _find_table(folder: Path) -> Path | None:
    return next((folder / name for name in _READERS if (folder / name).is_file()), None)


def _photos(root: Path, folder: Path) -> list[PhotoFile]:
    """Reads the table of one folder; photos are named relative to `root`."""
    table = _find_table(folder)
    if table is None:
        raise DatasetError(
            f"{folder}: no table of captions; expected one of {', '.join(_READERS)}, with a "
            "line for each caption of each photo"
        )
    found = _without_blanks(_merge(table), table)
    paths = {name: _photo_path(folder, name) for name in found}
    missing = [name for name, path in paths.items() if not path.is_file()]
    if missing:
        raise DatasetError(
            f"{table} names {len(missing)} photos that are neither in {folder / 'images'} nor in "
            f"{folder}: {_first(missing)}"
        )
    _report_photos_without_captions(folder, set(paths.values()))
    prefix = "" if folder == root else f"{folder.name}/"
    return [PhotoFile(prefix + name, paths[name], tuple(found[name])) for name in found]


def _merge(table: Path) -> Captions:
    captions: Captions = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as lines:
            for name, caption in _READERS[table.name](lines, table):
                captions.setdefault(name, []).append(" ".join(caption.split()))
    except UnicodeDecodeError as error:
        raise DatasetError(f"{table} is not UTF-8 text: {error}; save it as UTF-8") from error
    return captions


def _without_blanks(captions: Captions, table: Path) -> Captions:
    """Drops blank captions, and photos that have no other."""
    kept = {name: [text for text in texts if text] for name, texts in captions.items()}
    num_blank = sum(len(captions[name]) - len(kept[name]) for name in captions)
    if num_blank:
        _logger.warning("%s: %d blank captions are left out", table, num_blank)
    kept = {name: texts for name, texts in kept.items() if texts}
    if not kept:
        raise DatasetError(f"{table} has no captions")
    return kept


def _photo_path(folder: Path, name: str) -> Path:
    path = folder / "images" / name
    return path if path.is_file() else folder / name


def _report_photos_without_captions(folder: Path, captioned: set[Path]) -> None:
    photos = folder / "images" if (folder / "images").is_dir() else folder
    on_disk = {path for path in photos.rglob("*") if path.suffix.lower() in _PHOTO_SUFFIXES}
    num_bare = len(on_disk - captioned)
    if num_bare:
        _logger.warning("%s: %d photos have no captions and are left out", photos, num_bare)


def _split_names(root: Path, names: list[str], dev_share: float) -> dict[str, list[str]]:
    listed = {split: _read_split_file(root / f"{split}.txt", names) for split in SPLIT_NAMES}
    train, dev = listed["train"], listed["dev"]
    if train is None and dev is None:
        dev = _by_hash(names, dev_share)
    if train is None or dev is None:
        others = set(train or dev or ())
        rest = [name for name in names if name not in others]
        train, dev = (rest, dev) if train is None else (train, rest)
    both = set(train) & set(dev or ())
    if both:
        raise DatasetError(
            f"{root}: {len(both)} photos are in train.txt and in dev.txt: {_first(sorted(both))}"
        )
    return {"train": train, "dev": dev or []}


def _read_split_file(path: Path, names: list[str]) -> list[str] | None:
    if not path.is_file():
        return None
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    listed = list(dict.fromkeys(line for line in lines if line))
    unknown = sorted(set(listed) - set(names))
    if unknown:
        raise DatasetError(
            f"{path} names {len(unknown)} photos without captions: {_first(unknown)}"
        )
    return listed


def _by_hash(names: list[str], share: float) -> list[str]:
    """Chooses a share of the names, at least one, that hardly changes as photos are added."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    chosen = set(ranked[: math.ceil(share * len(names))])
    return [name for name in names if name in chosen]


def _read_tsv(lines: Iterable[str], table: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=1):
        name, tab, caption = line.rstrip("\r\n").partition("\t")
        if tab:
            yield name, caption
        elif name.strip():
            raise DatasetError(f"{table}:{number}: no tab between file name and caption: {line!r}")


def _read_jsonl(lines: Iterable[str], table: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DatasetError(f"{table}:{number}: not JSON: {error}") from error
        yield from _row_captions(row, f"{table}:{number}")


def _read_csv(lines: Iterable[str], table: Path) -> Iterator[tuple[str, str]]:
    reader = csv.DictReader(lines)
    for row in reader:
        yield from _row_captions(row, f"{table}:{reader.line_num}")


def _row_captions(row: Any, where: str) -> Iterator[tuple[str, str]]:
    name, text = (row.get("file_name"), row.get("text")) if isinstance(row, dict) else (None, None)
    texts: list[Any] = text if isinstance(text, list) else [text]
    if not isinstance(name, str) or not all(isinstance(item, str) for item in texts):
        raise DatasetError(
            f"{where}: expected `file_name`, a string, and `text`, a string or a list of strings; "
            f"got {row!r}"
        )
    return ((name, item) for item in texts)


def _first(names: list[str]) -> str:
    more = ", ..." if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


_READERS: dict[str, Callable[[Iterable[str], Path], Iterator[tuple[str, str]]]] = {
    "captions.tsv": _read_tsv,
    "metadata.jsonl": _read_jsonl,
    "metadata.csv": _read_csv,
}
