"""Named sets of settings: each is a valid training, and knows where its data comes from."""

import pytest

from train.config import TrainConfig
from train.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_training_of_that_name(name):
    assert TrainConfig.from_dict(PRESETS[name].settings).name == name


def test_notes_are_of_the_data_and_the_encoder_that_are_used():
    preset = PRESETS["flickr8k-small"]
    assert preset.note_on_data("/data/flickr8k/").startswith("Flickr8k, official train and dev")
    assert preset.note_on_data("/flickr8k/mine") == (
        "`mine`; its origin and licence were not stated (`--data_note`)."
    )
    assert "ImageNet" in preset.note_on_encoder("../encoders/efficientnet_lite0_imagenet.keras")
    assert preset.note_on_encoder("InceptionResNetV2") == ""
    assert "were not stated" in PRESETS["course"].note_on_data("coco_captions")
