import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

from model_lib.encoder import _scale_pixels, build_encoder, load_encoder
from model_lib.errors import EncoderError

NAMES = [name for name in dir(keras.applications) if name[0].isupper()]
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)


def family_of(name: str) -> str:
    return getattr(keras.applications, name).__module__


def scaled(encoder: keras.Model) -> keras.Model:
    """Returns the part of an encoder before its backbone."""
    return keras.Model(encoder.inputs[0], encoder.get_layer("pixels").output)


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    with warnings.catch_warnings():  # Keras wonders about sizes other than 224
        warnings.simplefilter("ignore")
        return keras.applications.MobileNetV3Small(
            include_top=False, weights=None, input_shape=(32, 32, 3)
        )


@pytest.fixture(scope="module")
def weights_file(backbone: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("weights") / "small.weights.h5")
    backbone.save_weights(path)
    return path


def image_to(
    *layers: keras.layers.Layer, size: tuple[int | None, ...] = (16, 16, 3)
) -> keras.Model:
    return keras.Sequential([keras.Input(size), *layers])


def saved(model: keras.Model, folder: Path) -> str:
    model.save(folder / "model.keras")
    return str(folder / "model.keras")


def test_every_family_of_this_keras_is_known() -> None:
    image = keras.Input((32, 32, 3))
    for name in NAMES:
        assert _scale_pixels(image, family_of(name).rpartition(".")[2], "backbone") is not None
    with pytest.raises(EncoderError, match=r"how 'vision9000' of keras.applications scales pixels"):
        _scale_pixels(image, "vision9000", "backbone")


@pytest.mark.parametrize("family", sorted({family_of(name) for name in NAMES}))
def test_pixels_are_scaled_as_the_family_s_own_preprocess_input_does(family: str) -> None:
    image = keras.Input((32, 32, 3))
    scaling = keras.Model(image, _scale_pixels(image, family.rpartition(".")[2], "backbone"))
    expected = sys.modules[family].preprocess_input(PIXELS.copy())
    np.testing.assert_allclose(scaling(PIXELS), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["VGG16", "MobileNetV2"])
def test_an_encoder_is_its_scaling_and_its_backbone(name: str, tmp_path: Path) -> None:
    encoder = build_encoder(name, 32, None)
    preprocess = sys.modules[family_of(name)].preprocess_input
    np.testing.assert_allclose(scaled(encoder)(PIXELS), preprocess(PIXELS.copy()), atol=1e-4)
    [backbone] = [layer for layer in encoder.layers if isinstance(layer, keras.Model)]
    features = backbone(preprocess(PIXELS.copy()))
    expected = np.reshape(features, (2, -1, features.shape[-1]))
    np.testing.assert_allclose(encoder(PIXELS), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(load_encoder(saved(encoder, tmp_path))(PIXELS), encoder(PIXELS))


@pytest.mark.slow
def test_the_course_s_encoder_has_64_positions_of_1536() -> None:
    encoder = build_encoder(weights=None)
    assert encoder.input_shape == (None, 299, 299, 3)
    assert encoder.output_shape == (None, 64, 1536)
    assert scaled(encoder)(np.full((1, 299, 299, 3), 255.0)).numpy().max() == 1.0


def test_unit_scaling_is_the_notebook_s() -> None:
    image = keras.Input((32, 32, 3))
    scaling = keras.Model(image, _scale_pixels(image, "inception_resnet_v2", "unit"))
    np.testing.assert_allclose(scaling(PIXELS), PIXELS / 255.0, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.input_shape. is undefined")
def test_a_weights_file_is_loaded_and_the_encoder_is_frozen(
    backbone: keras.Model, weights_file: str
) -> None:
    encoder = build_encoder("MobileNetV3Small", 32, weights_file)
    assert encoder.output_shape == (None, 1, 576)
    assert encoder.trainable_variables == []
    np.testing.assert_array_equal(encoder(PIXELS)[:, 0], backbone(PIXELS)[:, 0, 0])


@pytest.mark.filterwarnings("ignore:.input_shape. is undefined")
def test_imagenet_weights_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path), raising=False)
    monkeypatch.setattr("urllib.request._opener", None)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(EncoderError, match=r"(?s)fetch failure.*needs a network or Keras's cache"):
        build_encoder("MobileNetV3Small", 32)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "ResNet51"}, "has no 'ResNet51'; it has ConvNeXtBase, .*, Xception"),
        ({"name": "vgg16"}, "has no 'vgg16'"),
        ({"name": "Xception"}, r"Xception at 32x32 .* at least 71x71"),
        ({"weights": "none.weights.h5"}, r"weights 'none.weights.h5' was not built: .*path to"),
        ({"pixel_scaling": "file"}, "'file' does not go with a backbone by name"),
    ],
)
def test_what_cannot_be_built_is_named(settings: dict[str, str], message: str) -> None:
    with pytest.raises(EncoderError, match=f"(?s){message}"):
        build_encoder(**{"name": "VGG16", "image_size": 32, "weights": None, **settings})


def test_a_damaged_weights_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "garbage.weights.h5"
    path.write_bytes(b"garbage" * 100)
    with pytest.raises(EncoderError, match=r"garbage.weights.h5' was not built"):
        build_encoder("VGG16", 32, str(path))


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_feature_map_becomes_positions(dtype: str, tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3), dtype=dtype)
    model = keras.Model(image, keras.layers.Conv2D(5, 4, 4)(keras.layers.Rescaling(0.1)(image)))
    encoder = load_encoder(saved(model, tmp_path))
    pixels = PIXELS[:, :16, :16]
    assert encoder.output_shape == (None, 16, 5)
    assert encoder.trainable_variables == []
    np.testing.assert_array_equal(encoder(pixels), np.reshape(model(pixels), (2, 16, 5)))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_positions_stay_and_become_32_bit(dtype: str, tmp_path: Path) -> None:
    layers = keras.layers.Conv2D(5, 4, 4), keras.layers.Reshape((-1, 5), dtype=dtype)
    encoder = load_encoder(saved(image_to(*layers), tmp_path))
    assert encoder.output_shape == (None, 16, 5)
    assert encoder(PIXELS[:, :16, :16]).dtype == "float32"
    assert encoder.trainable_variables == []


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (image_to(keras.layers.Conv2D(5, 4), size=(16, 20, 3)), "(None, 16, 20, 3) to"),
        (image_to(keras.layers.Conv2D(5, 4), size=(16, 16, 1)), "(None, 16, 16, 1) to"),
        (image_to(keras.layers.Conv2D(5, 4), size=(None, None, 3)), "(None, None, None, 3) to"),
        (image_to(keras.layers.Flatten()), "(None, 16, 16, 3) to (None, 768)"),
        (keras.Sequential([keras.Input((16,)), keras.layers.Dense(2)]), "(None, 16) to (None, 2)"),
    ],
)
def test_a_model_of_other_shapes_is_refused(
    model: keras.Model, shapes: str, tmp_path: Path
) -> None:
    with pytest.raises(EncoderError) as caught:
        load_encoder(saved(model, tmp_path))
    assert f"maps {shapes}" in str(caught.value)
    assert "expected a square image (None, S, S, 3)" in str(caught.value)


def test_models_of_several_inputs_or_none_are_refused(tmp_path: Path) -> None:
    first, second = keras.Input((16, 16, 3)), keras.Input((3,))
    with pytest.raises(EncoderError, match="maps"):
        load_encoder(saved(keras.Model([first, second], first), tmp_path))
    unbuilt = keras.Sequential([keras.layers.Conv2D(5, 4)])
    with pytest.warns(UserWarning, match="not yet been built"):
        path = saved(unbuilt, tmp_path)
    with pytest.raises(EncoderError, match="no defined input shape"):
        load_encoder(path)


def test_a_file_with_code_is_refused(tmp_path: Path) -> None:
    model = image_to(keras.layers.Lambda(lambda x: x * 2.0), keras.layers.Conv2D(5, 4))
    with pytest.raises(EncoderError, match="Lambda"):
        load_encoder(saved(model, tmp_path))


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"none\.keras: not a safe Keras 3 model file"):
        load_encoder(str(tmp_path / "none.keras"))
    path = Path(saved(image_to(keras.layers.Conv2D(5, 4)), tmp_path))
    data = path.read_bytes()
    for damaged in (b"", data[:-40], data[:300] + b"\x00" * 8 + data[308:]):
        path.write_bytes(damaged)
        with pytest.raises(EncoderError, match=r"model\.keras: not a safe Keras 3 model file"):
            load_encoder(str(path))
