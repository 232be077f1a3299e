"""Small folders of captioned photos in the layouts that are read here, made with Pillow."""

import json
from pathlib import Path

from PIL import Image

CAPTIONS = {
    "red.jpg": ["a red square", "a picture that is all red"],
    "green.png": ["a green square", "green all over"],
    "blue.webp": ["a blue square", "nothing but blue"],
    "grey.bmp": ["a grey square", "grey it is"],
}


def write_photos(folder: Path, names: list[str]) -> None:
    """Writes a photo of one colour for each name, in the format of its suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (40, 30), name.partition(".")[0]).save(folder / name)


def write_tsv_folder(folder: Path, dev: list[str] | None = None) -> Path:
    """Writes `CAPTIONS` as `images/` and `captions.tsv`, and split files where `dev` is given."""
    write_photos(folder / "images", list(CAPTIONS))
    lines = [f"{name}\t{text}\n" for name, texts in CAPTIONS.items() for text in texts]
    (folder / "captions.tsv").write_text("".join(lines))
    if dev is not None:
        train = [name for name in CAPTIONS if name not in dev]
        (folder / "dev.txt").write_text("\n".join(dev) + "\n")
        (folder / "train.txt").write_text("\n".join(train) + "\n")
    return folder


def write_jsonl_folder(folder: Path, names: list[str]) -> Path:
    """Writes some of `CAPTIONS` as Hugging Face's ImageFolder: photos beside the table."""
    write_photos(folder, names)
    rows = [{"file_name": name, "text": CAPTIONS[name]} for name in names]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
