"""Named sets of settings: each is a valid training, and knows where its data comes from."""

import pytest

from model_lib.config import DecodeConfig, ModelConfig
from train.config import TrainConfig
from train.presets import PRESETS
from train.trainer import make_optimizer


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
    for name in ("asl-coco", "coco-strong", "course"):
        assert PRESETS[name].note_on_data("coco_captions").startswith("COCO captions 2014")
        assert "were not stated" in PRESETS[name].note_on_data("/data/flickr8k")


def test_asl_coco_is_the_model_of_the_course():
    config = TrainConfig.from_dict(PRESETS["asl-coco"].settings)
    assert config.model_config() == ModelConfig(pixel_scaling="unit", standardize="course")
    assert config.decode_config() == DecodeConfig(
        method="sample", num_captions=5, top_k=10, max_length_tokens=64
    )
    assert (config.encoder, config.encoder_weights, config.image_size, config.fit) == (
        "InceptionResNetV2",
        "imagenet",
        299,
        "squash",
    )
    assert (config.batch_size, config.epochs, config.max_vocabulary) == (32, 1, 20_000)
    assert (config.captions_per_image, config.views, config.padding_loss) == (1, 1, True)
    assert config.self_critical_epochs == 0
    adam = make_optimizer(
        config.learning_rate,
        total_steps=1,
        warmup_steps=config.warmup_steps,
        clip_norm=config.clip_norm,
        weight_decay=config.weight_decay,
        ema_momentum=config.ema_momentum,
        decay_to=config.decay_to,
    )
    assert (adam.global_clipnorm, adam.weight_decay, adam.use_ema) == (None, 0.0, False)
    assert float(adam.learning_rate) == pytest.approx(0.001)


def test_course_is_asl_coco_with_its_switches_set_to_good_practice():
    switches = {"pixel_scaling", "standardize", "captions_per_image", "padding_loss"}
    optimizer = {"decay_to", "warmup_steps", "clip_norm"}
    decoding = {"decode", "num_captions", "top_k", "drawn_tokens"}
    asl, course = (
        TrainConfig.from_dict(PRESETS[name].settings).to_dict() for name in ("asl-coco", "course")
    )
    different = {name for name in asl if asl[name] != course[name]} - {"name", "image_size"}
    assert different == switches | optimizer | decoding
