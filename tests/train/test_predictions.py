"""Predictions: captions of a data set, written whole or not at all, read strictly."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_lib.bundle import load_bundle
from model_lib.config import DecodeConfig
from tests.toy import make_toy_bundle
from tests.train.folders import CAPTIONS, write_tsv_folder
from train.datasets import open_dataset
from train.errors import DatasetError, EvaluationError
from train.predictions import Prediction, predict, read_predictions, write_predictions

SURE = Prediction("a.jpg", "a dog", -0.5, ({"caption": "a dog", "log_prob": -1.5, "score": -0.5},))
UNSURE = Prediction("ä.jpg", "café", -2.0, (), finished=False)


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    return load_bundle(make_toy_bundle(str(tmp_path_factory.mktemp("toy") / "bundle")))


def test_predictions_are_the_captioners_captions(captioner, tmp_path):
    folder = write_tsv_folder(tmp_path / "photos", dev=["red.jpg"])
    dataset = open_dataset(str(folder), "train", data_dir=str(tmp_path / "tfds"))
    decode = DecodeConfig(beam_width=3, num_captions=2, max_length_tokens=6)
    names = [name for name in CAPTIONS if name != "red.jpg"]
    photos = [(folder / "images" / name).read_bytes() for name in names]
    expected = [
        Prediction(
            name,
            captions[0].text,
            captions[0].score,
            tuple({"caption": c.text, "log_prob": c.log_prob, "score": c.score} for c in captions),
            captions[0].finished,
        )
        for name, captions in zip(names, captioner.caption_bytes(photos, decode, 2), strict=True)
    ]
    assert list(predict(captioner, dataset, decode, batch_size=2)) == expected
    assert [len(prediction.candidates) for prediction in expected] == [2, 2, 2]


def test_a_broken_photo_is_named(captioner, tmp_path):
    folder = write_tsv_folder(tmp_path / "photos", dev=["red.jpg"])
    (folder / "images" / "red.jpg").write_bytes(b"no photo")
    dataset = open_dataset(str(folder), "dev", data_dir=str(tmp_path / "tfds"))
    with pytest.raises(DatasetError, match=r"^red\.jpg: UnknownImageFormatError: "):
        list(predict(captioner, dataset, DecodeConfig(), batch_size=4))


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "predictions.jsonl"
    assert write_predictions(path, iter([SURE, UNSURE])) == [SURE, UNSURE]
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {
            "image_id": "a.jpg",
            "caption": "a dog",
            "score": -0.5,
            "candidates": [{"caption": "a dog", "log_prob": -1.5, "score": -0.5}],
            "finished": True,
        },
        {
            "image_id": "ä.jpg",
            "caption": "café",
            "score": -2.0,
            "candidates": [],
            "finished": False,
        },
    ]
    assert read_predictions(path) == {"a.jpg": "a dog", "ä.jpg": "café"}


def test_an_interrupted_run_leaves_an_earlier_file_alone(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, [SURE])

    def interrupted():
        yield UNSURE
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(path, interrupted())
    assert read_predictions(path) == {"a.jpg": "a dog"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"image_id": "a", "caption": "x"}\n{"image_id": "a"', ":2: expected a JSON object"),
        ('{"image_id": "a"}', ":1: expected a JSON object with image_id and caption"),
        ('["a", "x"]', ":1: expected a JSON object"),
        ('{"image_id": 7, "caption": "x"}', ":1: image_id and caption must be strings"),
        ('{"image_id": "a", "caption": "x"}\n' * 2, ":2: a second prediction for a"),
    ],
)
def test_files_that_are_no_predictions_are_refused(tmp_path, text, message):
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(EvaluationError, match=re.escape(f"{path}{message}")):
        read_predictions(path)


def test_a_file_that_is_not_there_is_a_named_error(tmp_path):
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_predictions(tmp_path / "nowhere.jsonl")


def captions_table(folder, uris):
    folder.mkdir(parents=True)
    table = pa.table({"uri": uris, "caption": [f"words of {uri}" for uri in uris]})
    for place in range(len(uris)):
        pq.write_table(table.slice(place, 1), folder / f"{place}.parquet")


def test_a_jobs_table_is_read(tmp_path):
    captions_table(tmp_path / "out" / "captions", ["gs://b/x/a.jpg", "/photos/ä b.png"])
    (tmp_path / "out" / "manifest.json").write_text("{}")
    expected = {"a.jpg": "words of gs://b/x/a.jpg", "ä b.png": "words of /photos/ä b.png"}
    assert read_predictions(tmp_path / "out") == expected
    assert read_predictions(tmp_path / "out" / "captions") == expected
    one = read_predictions(tmp_path / "out" / "captions" / "0.parquet")
    assert one == {"a.jpg": "words of gs://b/x/a.jpg"}


def test_tables_that_cannot_be_scored_are_said(tmp_path):
    captions_table(tmp_path / "twice", ["gs://b/x/a.jpg", "gs://b/y/a.jpg"])
    with pytest.raises(EvaluationError, match=r"second prediction for a\.jpg \(gs://b/y/a\.jpg\)"):
        read_predictions(tmp_path / "twice")
    (tmp_path / "no.parquet").write_text("words")
    with pytest.raises(EvaluationError, match=r"no\.parquet are no captions table: "):
        read_predictions(tmp_path / "no.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    with pytest.raises(EvaluationError, match=r"other\.parquet are no captions table: "):
        read_predictions(tmp_path / "other.parquet")
