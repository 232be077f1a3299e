import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_lib.config import DecodeConfig, JsonConfig, ModelConfig, PreprocessConfig
from model_lib.errors import ConfigError

CONFIGS = [PreprocessConfig, ModelConfig, DecodeConfig]
SAMPLING = DecodeConfig(method="sample", num_captions=2, top_k=10, seed=7)


def test_the_defaults_are_the_course_s_network_and_a_beam_of_three() -> None:
    assert PreprocessConfig().to_dict() == {
        "image_size": 299,
        "fit": "squash",
        "max_pixels": 100_000_000,
    }
    assert ModelConfig().to_dict() == {
        "encoder": "InceptionResNetV2",
        "pixel_scaling": "backbone",
        "width": 512,
        "attention": "dot",
        "num_heads": 8,
        "initial_state": "zeros",
        "dropout": 0.0,
        "tie_embeddings": False,
        "max_length_tokens": 64,
    }
    assert DecodeConfig().to_dict() == {
        "method": "beam",
        "beam_width": 3,
        "length_penalty": 1.0,
        "num_captions": 1,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "seed": 0,
        "min_length_tokens": 1,
        "max_length_tokens": 30,
    }


def test_json_is_canonical() -> None:
    expected = '{"fit":"pad","image_size":64,"max_pixels":100}'
    assert PreprocessConfig(64, "pad", 100).to_json() == expected
    assert PreprocessConfig.from_dict(json.loads(expected)).to_json() == expected


@pytest.mark.parametrize(
    ("values", "plain"),
    [
        ({"temperature": 2}, 2.0),
        ({"temperature": np.float32(0.5)}, 0.5),
        ({"top_k": np.int64(10)}, 10),
    ],
)
def test_equal_numbers_are_written_alike(values: dict[str, Any], plain: float) -> None:
    [name] = values
    config = DecodeConfig.from_dict(values)
    assert type(getattr(config, name)) is type(plain)
    assert config.to_json() == DecodeConfig.from_dict({name: plain}).to_json()


@given(
    st.builds(
        DecodeConfig,
        method=st.just("sample"),
        length_penalty=st.floats(0, 5),
        num_captions=st.integers(1, 9),
        temperature=st.floats(1e-6, 1e6),
        top_p=st.floats(0, 1, exclude_min=True),
        seed=st.integers(0, 2**64),
        max_length_tokens=st.integers(2, 500),
    )
)
def test_json_gives_the_same_settings_back(config: DecodeConfig) -> None:
    again = DecodeConfig.from_dict(json.loads(config.to_json()))
    assert again == config
    assert hash(again) == hash(config)


def test_replace_changes_one_setting_and_validates() -> None:
    assert SAMPLING.replace(seed=8).to_dict() == {**SAMPLING.to_dict(), "seed": 8}
    with pytest.raises(ConfigError, match="greedy decoding has one caption an image, not 2"):
        SAMPLING.replace(method="greedy")


@pytest.mark.parametrize("config", CONFIGS)
def test_settings_are_frozen_and_a_misspelt_one_is_named(config: type[JsonConfig]) -> None:
    name = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config(), name, 1)
    with pytest.raises(ConfigError, match=f"^{config.__name__} has no setting 'x'; it has {name},"):
        config.from_dict({"x": 1})


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (PreprocessConfig, {"image_size": 7}, "image_size is 7; expected at least 8"),
        (PreprocessConfig, {"image_size": 4097}, "is 4097; expected at least 8 and at most 4096"),
        (PreprocessConfig, {"image_size": 299.5}, "image_size is 299.5; expected a whole number"),
        (PreprocessConfig, {"image_size": "299"}, "image_size is '299'; expected a whole number"),
        (PreprocessConfig, {"image_size": True}, "image_size is True; expected a whole number"),
        (PreprocessConfig, {"fit": "zoom"}, "fit is 'zoom'; expected 'squash', 'crop', 'pad'"),
        (PreprocessConfig, {"max_pixels": 0}, "max_pixels is 0; expected at least 1"),
        (ModelConfig, {"encoder": None}, "encoder is None; expected text"),
        (ModelConfig, {"pixel_scaling": "tf"}, "expected 'backbone', 'unit', 'file'"),
        (ModelConfig, {"attention": "none"}, "attention is 'none'; expected 'dot', 'multihead'"),
        (ModelConfig, {"initial_state": 0}, "initial_state is 0; expected 'zeros', 'image'"),
        (ModelConfig, {"dropout": 0.96}, "expected at least 0.0 and at most 0.95"),
        (ModelConfig, {"tie_embeddings": "no"}, "tie_embeddings is 'no'; expected true or false"),
        (ModelConfig, {"max_length_tokens": 2}, "max_length_tokens is 2; expected at least 3"),
        (ModelConfig, {"num_heads": 0}, "num_heads is 0; expected at least 1"),
        (
            ModelConfig,
            {"attention": "multihead", "width": 20},
            "width 20 is not a multiple of num_heads 8",
        ),
        (DecodeConfig, {"method": "Beam"}, "expected 'greedy', 'beam', 'sample'"),
        (DecodeConfig, {"beam_width": 0}, "beam_width is 0; expected at least 1"),
        (DecodeConfig, {"beam_width": 2.0}, "beam_width is 2.0; expected a whole number"),
        (DecodeConfig, {"length_penalty": -0.1}, "length_penalty is -0.1; expected at least 0.0"),
        (DecodeConfig, {"length_penalty": float("nan")}, "length_penalty is nan"),
        (DecodeConfig, {"num_captions": 0}, "num_captions is 0; expected at least 1"),
        (DecodeConfig, {"num_captions": 4}, "num_captions 4 is more than beam_width 3"),
        (DecodeConfig, {"temperature": 0}, "temperature is 0.0; expected at least 1e-06"),
        (DecodeConfig, {"temperature": float("inf")}, "temperature is inf"),
        (DecodeConfig, {"top_k": -1}, "top_k is -1; expected at least 0"),
        (DecodeConfig, {"top_p": 0.0}, "top_p is 0.0; expected above 0.0 and at most 1.0"),
        (DecodeConfig, {"seed": -1}, "seed is -1; expected at least 0"),
        (DecodeConfig, {"min_length_tokens": -1}, "min_length_tokens is -1"),
        (DecodeConfig, {"min_length_tokens": 30}, "max_length_tokens is 30; expected at least 31"),
    ],
)
def test_a_wrong_value_is_named(
    config: type[JsonConfig], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config.from_dict(values)
    assert message in str(caught.value)
    assert config.__name__ in str(caught.value) or "num_captions" in str(caught.value)


def test_a_network_s_settings_read_as_before_captions_could_be_cleaned_otherwise() -> None:
    assert "standardize" not in ModelConfig().to_dict()
    changed = ModelConfig(standardize="course")
    assert ModelConfig.from_dict(changed.to_dict()) == changed
    assert ModelConfig().replace(standardize="course") == changed
    assert changed.replace(standardize="words") == ModelConfig()
