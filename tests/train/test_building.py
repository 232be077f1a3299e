"""The parts of a training: vocabulary, encoder, and what must not change under way.

Whole trainings are in test_train_captioner.py.
"""

import keras
import numpy as np
import pytest

from model_lib.errors import ConfigError, EncoderError
from train.building import build_bundle, make_encoder, make_tokenizer
from train.config import TrainConfig
from train.features import encoder_fingerprint
from train.output_folder import record_inputs

CAPTIONS = [("a red circle", "circle that is red"), ("a red square", "square that is red")]


def words(**settings):
    return make_tokenizer(TrainConfig(**settings), CAPTIONS).words[4:]


def test_the_vocabulary_is_that_of_the_captions_that_are_trained_on():
    assert words() == ("red", "a", "circle", "is", "square", "that")
    assert words(captions_per_image=1) == ("a", "red", "circle", "square")
    assert words(captions_per_image=1, min_count=2) == ("a", "red")
    assert words(max_vocabulary=5) == ("red",)
    course = make_tokenizer(TrainConfig(standardize="course"), [("a t-shirt",)])
    assert course.words[4:] == ("a", "tshirt")


def test_an_encoder_file_says_the_size_of_its_photos(encoder_path):
    encoder, preprocess = make_encoder(TrainConfig(encoder=encoder_path, fit="crop"))
    assert encoder.output_shape == (None, 16, 8)
    assert (preprocess.image_size, preprocess.fit) == (32, "crop")
    assert encoder.trainable is False


def test_a_backbone_by_name_is_the_same_whatever_was_built_before():
    config = TrainConfig(encoder="MobileNet", encoder_weights="none", image_size=32)
    fingerprints = []
    for _ in range(2):
        keras.utils.clear_session()
        keras.utils.set_random_seed(config.seed)
        encoder, preprocess = make_encoder(config)
        fingerprints.append(encoder_fingerprint(encoder))
    assert encoder.output_shape == (None, 1, 1024)
    assert preprocess.image_size == 32
    assert fingerprints[0] == fingerprints[1]
    kernel = encoder.get_weights()[0]
    encoder.set_weights([kernel + np.float32(1e-3), *encoder.get_weights()[1:]])
    assert encoder_fingerprint(encoder) != fingerprints[0]


def test_an_unknown_backbone_is_named():
    with pytest.raises(EncoderError, match=r"keras\.applications has no 'InceptionV9'"):
        make_encoder(TrainConfig(encoder="InceptionV9"))


def test_photos_or_captions_that_changed_under_way_are_refused(
    shape_data, encoder, encoder_path, tmp_path
):
    train, dev = shape_data["train"], shape_data["dev"]
    old = {
        "encoder": encoder_fingerprint(encoder),
        "train photos": train.fingerprint(),
        "train captions": "ab12",
    }
    record_inputs(str(tmp_path), old)
    config = TrainConfig(encoder=encoder_path, width=16)
    with pytest.raises(ConfigError, match=r"\(train captions: was 'ab12', is '\w{64}', dev photos"):
        build_bundle(config, train, dev, str(tmp_path), str(tmp_path / "cache"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["inputs.json"]
