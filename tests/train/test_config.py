"""Settings of a training: validated when made, also for the parts that are made at its end."""

import pytest

from model_lib.config import DecodeConfig, ModelConfig
from model_lib.errors import ConfigError
from train.config import TrainConfig


def test_the_defaults_are_the_course():
    assert TrainConfig().model_config() == ModelConfig()
    assert TrainConfig(pixel_scaling="unit").model_config().pixel_scaling == "unit"
    assert TrainConfig().encoder == "InceptionResNetV2"


def test_decoding_by_sampling_and_the_course_s_words_reach_the_bundle():
    config = TrainConfig(
        decode="sample", num_captions=5, top_k=10, drawn_tokens=64, standardize="course"
    )
    assert config.decode_config() == DecodeConfig(
        method="sample", num_captions=5, top_k=10, max_length_tokens=64
    )
    assert config.model_config() == ModelConfig(standardize="course")


def test_the_parts_get_their_settings():
    config = TrainConfig(
        encoder="somewhere/lite.keras",
        width=24,
        attention="multihead",
        num_heads=3,
        initial_state="image",
        dropout=0.4,
        tie_embeddings=True,
        max_length_tokens=21,
        beam_width=5,
        length_penalty=0.7,
    )
    assert config.model_config() == ModelConfig(
        encoder="lite.keras",
        pixel_scaling="file",
        width=24,
        attention="multihead",
        num_heads=3,
        initial_state="image",
        dropout=0.4,
        tie_embeddings=True,
        max_length_tokens=21,
    )
    assert config.decode_config() == DecodeConfig(
        method="beam", beam_width=5, length_penalty=0.7, max_length_tokens=24
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fit": "stretch"}, "fit is 'stretch'; expected 'squash', 'crop', 'pad'"),
        ({"views": 0}, "views is 0; expected at least 1"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; expected above 0"),
        ({"decay_to": 1.5}, "decay_to is 1.5; expected at least 0.0 and at most 1.0"),
        ({"standardize": "none"}, "standardize is 'none'; expected 'words', 'course'"),
        ({"decode": "best"}, "method is 'best'; expected 'greedy', 'beam', 'sample'"),
        ({"num_captions": 5}, "num_captions 5 is more than beam_width 3"),
        ({"top_k": 10}, "--top_k has no effect with beam decoding; leave it out"),
        ({"decode": "sample", "beam_width": 5}, "--beam_width has no effect with sample"),
        ({"decode": "greedy", "length_penalty": 0.7}, "--length_penalty has no effect with greedy"),
        ({"drawn_tokens": 1}, "max_length_tokens is 1"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"ema_momentum": 1.0}, "ema_momentum is 1.0"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"captions_per_image": 0}, "captions_per_image is 0"),
        ({"self_critical_samples": 1}, "self_critical_samples is 1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"attention": "none"}, "attention is 'none'"),
        ({"width": 20, "attention": "multihead"}, "20 is not a multiple of num_heads 8"),
        ({"max_length_tokens": 2}, "max_length_tokens is 2"),
        ({"beam_width": 0}, "beam_width is 0"),
        ({"length_penalty": 9.0}, "length_penalty is 9.0"),
        ({"colour": "red"}, "TrainConfig has no setting 'colour'"),
    ],
)
def test_a_wrong_setting_is_named_before_any_work(settings, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_dict(settings)


@pytest.mark.parametrize(
    "setting", [{"pixel_scaling": "unit"}, {"encoder_weights": "none"}, {"image_size": 224}]
)
def test_settings_of_a_backbone_by_name_are_refused_for_a_file(setting):
    TrainConfig(**setting)
    with pytest.raises(ConfigError, match=f"--{next(iter(setting))} has no effect with an encoder"):
        TrainConfig(encoder="a.keras", **setting)
