"""Preset `asl-coco` from a data set in COCO's format to five captions a photo, with real photos.

The backbone is a small one with its weights in a file: InceptionResNetV2 at 299 pixels takes
minutes on two cores. docs/training.md says when the preset was run with it.
"""

import contextlib
import io
import json

import keras
import pytest

from model_lib.bundle import load_bundle
from tests.train.coco import EXAMPLES, example_photos, write_coco
from train.callbacks import read_history
from train.train_captioner import main


@pytest.mark.slow
def test_asl_coco_trains_on_a_data_set_in_coco_s_format(tmp_path, monkeypatch):
    data_dir = write_coco(tmp_path / "tfds", example_photos())
    keras.utils.set_random_seed(1)
    backbone = keras.applications.MobileNet(include_top=False, weights=None)
    backbone.save_weights(tmp_path / "backbone.weights.h5")
    monkeypatch.setenv("PATH", "")  # no Java
    places = {"data_dir": data_dir, "output": tmp_path / "run", "cache_dir": tmp_path / "cache"}
    changes = {
        "encoder": "MobileNet",
        "encoder_weights": tmp_path / "backbone.weights.h5",
        "image_size": 64,
    }
    words = [f"--{flag}={value}" for flag, value in (places | changes).items()]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["--preset", "asl-coco", "--data", "coco_captions", *words]) == 0
    captioner = load_bundle(str(tmp_path / "run" / "bundle"))
    info = captioner.info
    settings = json.loads((tmp_path / "run" / "bundle" / "bundle.json").read_text())["provenance"]
    assert (info.name, info.model.pixel_scaling, info.model.standardize) == (
        "asl-coco",
        "unit",
        "course",
    )
    assert captioner.tokenizer.standardization == "course"
    assert settings["data_note"].startswith("COCO captions 2014")
    assert settings["settings"]["padding_loss"] is True
    # One epoch of one batch; the vocabulary is that of the first captions, cleaned as there.
    assert len(read_history(tmp_path / "run" / "1_cross_entropy")) == 1
    assert "closeup" in captioner.tokenizer.words
    assert "close-up" not in captioner.tokenizer.words
    assert "tabby" not in captioner.tokenizer.words
    [captions] = captioner.caption_bytes([(EXAMPLES / "photos" / "cat.jpg").read_bytes()])
    assert len(captions) == 5
    assert all(caption.num_tokens <= 64 for caption in captions)
