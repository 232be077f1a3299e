"""The program `benchmarks.equality`, on a toy bundle and a few photos."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import equality
from model_lib.bundle import load_bundle
from tests.images import encoded, sample_image

CAPTIONS = (
    ("a red square", "the square is red"),
    ("a blue dog runs", "one dog runs home"),
    ("two green birds fly", "birds above some trees"),
    ("nobody is here", "an empty street"),
)


@pytest.fixture
def photo_folder(tmp_path):
    """Four photos, three of them of the split `dev`."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    lines = []
    for number, texts in enumerate(CAPTIONS):
        photo = encoded(sample_image(60 + 10 * number, 50), "JPEG")
        (folder / "images" / f"{number}.jpg").write_bytes(photo)
        lines += [f"{number}.jpg\t{text}\n" for text in texts]
    (folder / "captions.tsv").write_text("".join(lines))
    (folder / "train.txt").write_text("3.jpg\n")
    (folder / "dev.txt").write_text("0.jpg\n1.jpg\n2.jpg\n")
    return folder


@pytest.fixture
def dataset(photo_folder, tmp_path):
    return equality.open_dataset(str(photo_folder), "dev", data_dir=str(tmp_path / "prepared"))


def test_differences_are_counted_and_scored(dataset):
    plain = [(texts[0], -1.0) for texts in CAPTIONS[:3]]
    near = [(text, score + 1e-6) for text, score in plain]
    row = equality.compare("key", "what", dataset, near, plain, 0.0)
    assert (row.values, row.is_met) == ((0.0,), True)
    assert row.note == "of 3; scores within 1e-06"
    other = [*plain[:2], ("nothing", -1.0)]
    row = equality.compare("key", "what", dataset, other, plain, 0.0)
    assert (row.values, row.is_met) == ((1.0,), False)
    assert row.note.startswith("of 3; CIDEr -")
    assert row.cells()[1:4] == ["at most 0 captions", "1 captions", "1 to 1"]


def test_larger_files_keep_their_way_up(dataset):
    sizes = [
        Image.open(equality.io.BytesIO(data)).size for data in equality.enlarged(dataset, (96, 64))
    ]
    assert sizes == [(96, 64)] * 3


def test_full_size_preparation_equals_the_preprocessors_for_small_files(toy_bundle, dataset):
    captioner = load_bundle(toy_bundle)
    for data in dataset.photos():
        whole = equality._prepared_whole(captioner, data)
        np.testing.assert_array_equal(whole.pixels, captioner.preprocessor(data).pixels)


@pytest.mark.slow
def test_the_program_compares_and_writes(toy_bundle, photo_folder, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    output = tmp_path / "result.json"
    words = ["--data", str(photo_folder), "--bundle", toy_bundle]
    words += ["--data_dir", str(tmp_path / "prepared"), "--json", str(output)]
    assert equality.main(words) == 0
    rows = {row["key"]: row for row in json.loads(output.read_text())["rows"]}
    assert list(rows) == [
        *("greedy", "beam_3", "own", "onnx", "float16", "bfloat16", "jpeg_640", "jpeg_1600")
    ]
    for key in ("greedy", "beam_3", "own", "onnx"):
        assert rows[key]["value"] == 0, rows[key]
