"""The encoder in ONNX Runtime, against TensorFlow, and what is refused."""

import importlib.util
from typing import Any

import numpy as np
import pytest

from model_lib.bundle import load_bundle
from model_lib.captioner import Captioner
from model_lib.config import DecodeConfig, EncoderRuntime
from model_lib.encoder_runtime import check_encoder_runtime, make_encoder
from model_lib.errors import ConfigError

DECODES = [
    DecodeConfig(method="greedy"),
    DecodeConfig(method="beam", beam_width=3),
    DecodeConfig(method="sample", num_captions=2, seed=3),
]


@pytest.mark.parametrize("runtime", ["tensorflow", "onnxruntime"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_features_are_the_keras_encoder_s(
    captioner: Captioner, runtime: EncoderRuntime, count: int
) -> None:
    pixels = _pixels(captioner, count)
    expected = captioner.encoder(pixels.astype(np.float32), training=False)
    features = make_encoder(captioner.encoder, runtime, "float32", 1)(5)(pixels)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def _pixels(captioner: Captioner, count: int) -> np.ndarray[Any, Any]:
    shape = (count, *captioner.encoder.input_shape[1:])
    return np.random.default_rng(count).integers(256, size=shape, dtype=np.uint8)


@pytest.mark.parametrize("decode", DECODES, ids=lambda decode: decode.method)
def test_captions_are_tensorflow_s(
    toy_bundle: str, captioner: Captioner, photos: list[bytes], decode: DecodeConfig
) -> None:
    other = load_bundle(toy_bundle, encoder_runtime="onnxruntime")
    expected = captioner.caption_bytes(photos, decode, batch_size=5)
    found = other.caption_bytes(photos, decode, batch_size=5)
    assert [[c.token_ids for c in captions] for captions in found] == [
        [c.token_ids for c in captions] for captions in expected
    ]
    for ours, theirs in zip(found, expected, strict=True):
        for one, another in zip(ours, theirs, strict=True):
            assert one.log_prob == pytest.approx(another.log_prob, abs=1e-3)


def test_what_does_not_go_together_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_encoder_runtime("tensorflow", "float16")
    check_encoder_runtime("onnxruntime", "float32")
    with pytest.raises(ConfigError, match="in float32 only, and precision is bfloat16"):
        check_encoder_runtime("onnxruntime", "bfloat16")
    with pytest.raises(ConfigError, match="'torch'; expected one of tensorflow, onnxruntime"):
        check_encoder_runtime("torch", "float32")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"onnxruntime and tf2onnx cannot be imported; .*\[onnx\]"
    ):
        check_encoder_runtime("onnxruntime", "float32")
