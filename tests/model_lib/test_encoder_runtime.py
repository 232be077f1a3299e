"""The encoder in ONNX Runtime, against TensorFlow, and what is refused."""

import importlib.util

import numpy as np
import pytest

from model_lib.bundle import load_bundle
from model_lib.captioner import Captioner
from model_lib.config import DecodeConfig
from model_lib.encoder_runtime import check_encoder_runtime, make_encoder_graphs
from model_lib.errors import ConfigError

DECODES = [
    DecodeConfig(method="greedy"),
    DecodeConfig(method="beam", beam_width=3),
    DecodeConfig(method="sample", num_captions=2, seed=3),
]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_features_are_tensorflow_s(captioner: Captioner, count: int) -> None:
    pixels = np.random.default_rng(count).integers(
        256, size=(count, *captioner.encoder.input_shape[1:]), dtype=np.uint8
    )
    [expected] = make_encoder_graphs(captioner.encoder, "tensorflow", "float32", 1)(count)(pixels)
    [found] = make_encoder_graphs(captioner.encoder, "onnxruntime", "float32", 1)(count)(pixels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


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
