import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from model_lib.config import ModelConfig
from model_lib.decoder import CaptionDecoder, build_decoder
from model_lib.encoder import load_encoder
from model_lib.weight_files import decoder_to_bytes, encoder_to_bytes


def make_encoder(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(4, 4, strides=4, name="convolution")(image)
    x = keras.layers.BatchNormalization(name="normalisation")(x)
    x = keras.layers.Reshape((-1, 4), name="positions")(x)
    encoder = keras.Model(image, x, name="small")
    encoder.trainable = False
    return encoder


def make_decoder(seed: int = 0) -> CaptionDecoder:
    keras.utils.set_random_seed(seed)
    return build_decoder(ModelConfig(width=8, initial_state="image"), 9, (4, 4))


def datasets(data: bytes) -> dict[str, np.ndarray]:
    """Returns the arrays of an HDF5 file by path."""
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(visit)
    return found


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_equal_encoders_give_equal_bytes_at_any_time_and_address(tmp_path: Path) -> None:
    first, time_saved = encoder_to_bytes(make_encoder(), True), time.time()
    keras.config.set_dtype_policy("float32")  # a new object, at another address
    time.sleep(max(0.0, time_saved + 2.1 - time.time()))  # zip counts time in two seconds
    assert encoder_to_bytes(make_encoder(), True) == first
    assert encoder_to_bytes(make_encoder(seed=1), True) != first
    path = tmp_path / "encoder.keras"
    path.write_bytes(first)
    assert encoder_to_bytes(load_encoder(str(path)), True) == first


def test_an_encoder_s_file_holds_no_date_and_no_address() -> None:
    initial = keras.initializers.HeNormal(3)
    layers = [keras.layers.Dense(3, kernel_initializer=initial) for _ in range(3)]
    parts = members(encoder_to_bytes(keras.Sequential([keras.Input((8, 8, 3)), *layers]), True))
    assert sorted(parts) == ["config.json", "metadata.json", "model.weights.h5"]
    assert list(json.loads(parts["metadata.json"])) == ["keras_version"]
    shared = set()

    def visit(node: dict[str, Any]) -> dict[str, Any]:
        if "shared_object_id" in node:
            shared.add((node["class_name"], node["shared_object_id"]))
        return node

    json.loads(parts["config.json"], object_hook=visit)
    assert shared == {("HeNormal", 0)}


def test_what_older_kerases_refuse_is_left_out_where_it_is_neutral() -> None:
    encoder = make_encoder()
    assert "renorm" not in members(encoder_to_bytes(encoder, True))["config.json"].decode()
    encoder.get_layer("normalisation").renorm = True
    if "renorm" in encoder.get_layer("normalisation").get_config():
        config = members(encoder_to_bytes(encoder, True))["config.json"].decode()
        assert '"renorm": true' in config


def test_equal_decoders_give_equal_bytes_without_their_optimizer() -> None:
    first = decoder_to_bytes(make_decoder(), True)
    trained = make_decoder()
    trained.compile("adam")
    trained.optimizer.build(trained.trainable_variables)
    assert decoder_to_bytes(trained, True) == first
    assert decoder_to_bytes(make_decoder(seed=1), True) != first


@pytest.mark.parametrize("float16", [False, True])
def test_all_weights_come_back(float16: bool, tmp_path: Path) -> None:
    decoder, encoder = make_decoder(), make_encoder()
    (tmp_path / "decoder.weights.h5").write_bytes(decoder_to_bytes(decoder, float16))
    (tmp_path / "encoder.keras").write_bytes(encoder_to_bytes(encoder, float16))
    loaded = make_decoder(seed=1)
    loaded.load_weights(tmp_path / "decoder.weights.h5")
    kind = np.float16 if float16 else np.float32
    for model, again in (
        (decoder, loaded),
        (encoder, load_encoder(str(tmp_path / "encoder.keras"))),
    ):
        for weight, other in zip(model.get_weights(), again.get_weights(), strict=True):
            assert other.dtype == weight.dtype
            np.testing.assert_array_equal(other, weight.astype(kind).astype(weight.dtype))


def test_only_32_bit_floats_are_halved_and_none_overflows() -> None:
    decoder = make_decoder()
    bias = np.linspace(-1, 1, 9, dtype=np.float32)
    decoder.logits.bias.assign(bias)
    wide, half = (datasets(decoder_to_bytes(decoder, float16)) for float16 in (False, True))
    assert wide.keys() == half.keys()
    for name, values in wide.items():
        expected = np.float16 if values.dtype == np.float32 else values.dtype
        assert half[name].dtype == expected
    bias[0] = 65505.0  # the largest 16-bit float is 65504
    decoder.logits.bias.assign(bias)
    kept = datasets(decoder_to_bytes(decoder, True))
    [values] = [values for values in kept.values() if values.dtype == np.float32]
    np.testing.assert_array_equal(values, bias)
