from pathlib import Path

import keras
import numpy as np
import pytest

from model_lib.bundle import default_bundle_path, load_bundle
from model_lib.captioner import Captioner
from model_lib.config import DecodeConfig, Precision
from model_lib.errors import ConfigError
from model_lib.precision import in_precision

PHOTO = sorted((Path(__file__).parents[2] / "examples" / "photos").glob("*.jpg"))[0]
GREEDY = DecodeConfig(method="greedy", max_length_tokens=12)


@pytest.fixture(scope="module")
def shipped() -> Captioner:
    return load_bundle(default_bundle_path())


def test_32_bits_are_the_model_itself(shipped: Captioner) -> None:
    assert in_precision(shipped.encoder, "float32") is shipped.encoder


@pytest.mark.parametrize(("precision", "difference"), [("bfloat16", 0.1), ("float16", 0.02)])
def test_16_bits_are_near(shipped: Captioner, precision: Precision, difference: float) -> None:
    encoder = shipped.encoder
    pixels = shipped.preprocessor(PHOTO.read_bytes()).pixels[np.newaxis].astype(np.float32)
    exact = np.asarray(encoder(pixels))
    copied = in_precision(encoder, precision)
    rough = np.asarray(keras.ops.cast(copied(pixels), "float32"))
    assert 0 < np.linalg.norm(exact - rough) < difference * np.linalg.norm(exact)
    convolutions = [layer for layer in copied._flatten_layers() if hasattr(layer, "kernel")]
    assert {layer.compute_dtype for layer in convolutions} == {precision}
    assert {layer.kernel.dtype for layer in convolutions} == {"float32"}
    # The model itself stays as it is.
    np.testing.assert_array_equal(np.asarray(encoder(pixels)), exact)


def test_another_precision_is_refused(shipped: Captioner) -> None:
    with pytest.raises(ConfigError, match="'int8'; expected one of float32, bfloat16, float16"):
        in_precision(shipped.encoder, "int8")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_captioner_of_16_bits(
    toy_bundle: str, captioner: Captioner, photos: list[bytes], precision: Precision
) -> None:
    rough = load_bundle(toy_bundle, precision=precision)
    prepared = [captioner.preprocessor(data) for data in photos]
    features = rough.encode_prepared(prepared)
    exact = captioner.encode_prepared(prepared)
    assert features.dtype == np.float32
    assert 0 < np.max(np.abs(features - exact)) < 0.06 * np.max(np.abs(exact))
    found = [best for [best] in rough.caption_prepared(prepared, GREEDY)]
    expected = [best for [best] in captioner.caption_prepared(prepared, GREEDY)]
    same = [(a, b) for a, b in zip(found, expected, strict=True) if a.text == b.text]
    assert len(same) >= 0.8 * len(photos)
    for one, other in same:
        assert one.log_prob == pytest.approx(other.log_prob, abs=0.3)
