"""A small COCO in TFDS's own format, written by TFDS's own writer, with any photos and captions."""

import contextlib
import csv
import io
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.object_detection.coco_captions import CocoCaptions

EXAMPLES = Path(__file__).parents[2] / "examples"


class SmallCocoCaptions(CocoCaptions, skip_registration=True):
    """TFDS's own `coco_captions`, features and all, with a few photos in place of a download.

    `photos`: rows (file name, encoded photo, captions) by split.
    """

    name = "coco_captions"
    photos = None

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.photos}

    def _generate_examples(self, split):
        for image_id, (name, encoded, texts) in enumerate(self.photos[split]):
            yield (
                image_id,
                {
                    "image": encoded,
                    "image/filename": name,
                    "image/id": image_id,
                    "captions": [{"id": number, "text": text} for number, text in enumerate(texts)],
                    "objects": [
                        {
                            "id": 1,
                            "area": 9,
                            "bbox": tfds.features.BBox(0.0, 0.0, 0.5, 0.5),
                            "label": 3,
                            "is_crowd": np.bool_(False),
                        }
                    ],
                },
            )


def write_coco(data_dir, photos):
    """Writes the data set into TFDS's folder; returns that folder as text."""
    builder = type("Small", (SmallCocoCaptions,), {"photos": photos}, skip_registration=True)
    builder.name = "coco_captions"
    with contextlib.redirect_stdout(io.StringIO()):
        builder(data_dir=str(data_dir)).download_and_prepare()
    assert (Path(data_dir) / "coco_captions" / "2014" / "1.1.0" / "features.json").exists()
    return str(data_dir)


def example_photos():
    """`examples/photos` that are JPEG, as COCO's are, with our captions: rows by split."""
    captions = {}
    with (EXAMPLES / "captions.tsv").open(encoding="utf-8", newline="") as table:
        for name, text in csv.reader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            captions.setdefault(name, []).append(text)
    rows = [
        (name, (EXAMPLES / "photos" / name).read_bytes(), texts)
        for name, texts in captions.items()
        if name.endswith(".jpg")
    ]
    return {"train": rows[:-1], "val": rows[-1:], "test": rows[:1]}
