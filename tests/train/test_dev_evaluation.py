"""A fresh bundle is scored as it will be used, and completed with metrics and model card."""

import dataclasses
import json
import logging
import shutil

import pytest
from PIL import Image

from model_lib.bundle import load_bundle, read_bundle_info
from model_lib.bundle_info import INFO_FILE, info_to_bytes
from tests.toy import make_toy_bundle
from train.calibration import reliability
from train.config import TrainConfig
from train.dev_evaluation import evaluate_bundle
from train.metrics import METRIC_NAMES, score_captions
from train.predictions import Prediction

PROVENANCE = {
    **{"command": "train-captioner ...", "data_note": "Shapes.", "encoder_note": "Random."},
    **{"hardware": "a machine", "date": "2026-01-02", "versions": "Python", "train_seconds": 1},
}


@pytest.fixture
def output(tmp_path):
    """The output folder of a training that has just saved its bundle."""
    bundle = tmp_path / "run" / "bundle"
    bundle.parent.mkdir()
    make_toy_bundle(str(bundle))
    info = dataclasses.replace(read_bundle_info(str(bundle)), provenance=PROVENANCE)
    (bundle / INFO_FILE).write_bytes(info_to_bytes(info))
    return bundle.parent


def card_of(output):
    return (output / "bundle" / "MODEL_CARD.md").read_text()


def test_the_bundle_gets_its_metrics_and_its_card(output, shape_data, monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")  # no Java
    train, dev = shape_data["train"], shape_data["dev"]
    before = read_bundle_info(str(output / "bundle"))
    with caplog.at_level(logging.WARNING, "train"):
        metrics = evaluate_bundle(str(output), TrainConfig(), train, dev)
    captioner = load_bundle(str(output / "bundle"))  # checks the new hashes
    expected = [found[0].text for found in captioner.caption_bytes(list(dev.photos()))]
    rows = [
        json.loads(line) for line in (output / "dev.predictions.jsonl").read_text().splitlines()
    ]
    assert [(row["image_id"], row["caption"]) for row in rows] == [
        *zip(dev.image_ids, expected, strict=True)
    ]
    references = dict(zip(dev.image_ids, dev.captions, strict=True))
    captions = dict(zip(dev.image_ids, expected, strict=True))
    assert metrics == score_captions(references, captions, java=False)
    temperature = captioner.info.score_temperature
    assert captioner.info == dataclasses.replace(
        before,
        metrics=metrics,
        file_sha256=captioner.info.file_sha256,
        score_temperature=temperature,
    )
    predictions = [Prediction(**row) for row in rows]
    assert temperature == reliability(predictions, references, None)["best_temperature"]
    assert f"`exp(score / {temperature:.2f})`, the column `confidence`" in card_of(output)
    with Image.open(output / "reliability.png") as picture:
        assert picture.size == (1100, 440)
    assert captioner.info.fingerprint == before.fingerprint
    card = card_of(output)
    assert f"| CIDEr | {metrics['CIDEr']:.4f} |" in card
    assert "- Photos to learn from: 20 with 40 captions" in card
    assert "measure: 4\n" in card
    assert all(f"| {name} | {caption} |" in card for name, caption in captions.items())
    assert "METEOR is left out" in caplog.text


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="no Java on this machine")
def test_with_java_all_seven_metrics_are_there(output, shape_data):
    metrics = evaluate_bundle(str(output), TrainConfig(), shape_data["train"], shape_data["dev"])
    assert tuple(metrics) == METRIC_NAMES
    assert read_bundle_info(str(output / "bundle")).metrics == metrics
