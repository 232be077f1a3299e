"""An encoder cut in two: head then tail is the encoder, and only the tail learns."""

import keras
import numpy as np
import pytest

from model_lib.config import ModelConfig
from model_lib.decoder import build_decoder
from model_lib.encoder import build_encoder
from model_lib.errors import EncoderError
from tests.toy import toy_pixels
from train.encoder_tail import TunedDecoder, split_encoder
from train.trainer import CaptionTrainer, compile_trainer, make_optimizer

PIXELS = toy_pixels(3).astype(np.float32)
IDS = np.array([[[2, 4, 5, 3]], [[2, 5, 3, 0]], [[2, 6, 7, 3]]], np.int32)


@pytest.fixture
def backbone():
    """A backbone by name: a model of its own between other layers."""
    return build_encoder("MobileNet", 32, None)


def flat_encoder():
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Conv2D(4, 8, strides=8, name="patches")(image)
    x = keras.layers.Conv2D(4, 1, name="cut")(x)
    x = keras.layers.Add(name="around")([x, keras.layers.Conv2D(4, 1, name="left")(x)])
    x = keras.layers.Reshape((16, 4), name="positions")(x)
    encoder = keras.Model(image, x, name="flat")
    encoder.trainable = False
    return encoder


@pytest.mark.parametrize(("make", "layer"), [("flat", "cut"), ("backbone", "conv_pad_12")])
def test_head_and_tail_are_the_encoder(make, layer, backbone):
    encoder = flat_encoder() if make == "flat" else backbone
    head, tail = split_encoder(encoder, layer)
    middle = head.predict(PIXELS, verbose=0)
    assert middle.shape == (3, *tail.input_shape[1:])
    assert head.trainable_variables == []
    np.testing.assert_allclose(
        tail.predict(middle, verbose=0), encoder.predict(PIXELS, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_the_tail_is_all_that_may_change():
    encoder = flat_encoder()
    _, tail = split_encoder(encoder, "cut")
    assert [v.path for v in tail.trainable_variables] == ["left/kernel", "left/bias"]


@pytest.mark.parametrize(
    ("layer", "reason"),
    [("nonsense", "it has no layer of this name"), ("left", "not connected to `inputs`")],
)
def test_a_layer_that_is_no_cut_is_refused(layer, reason):
    with pytest.raises(EncoderError, match=f"flat cannot be cut at '{layer}': .*{reason}"):
        split_encoder(flat_encoder(), layer)


def test_an_encoder_that_is_no_chain_is_refused(backbone):
    image = keras.Input((32, 32, 3))
    features = backbone.get_layer("mobilenet_1.00_32")(image)
    both = keras.layers.Add(name="both")([features, keras.layers.Conv2D(1024, 32)(image)])
    encoder = keras.Model(image, keras.layers.Reshape((-1, 1024))(both), name="skipping")
    with pytest.raises(EncoderError, match="skipping cannot be cut at 'conv_pad_12'"):
        split_encoder(encoder, "conv_pad_12")


def test_training_changes_tail_and_decoder_and_serving_sees_it():
    encoder = flat_encoder()
    head, tail = split_encoder(encoder, "cut")
    config = ModelConfig(encoder="flat", pixel_scaling="file", width=8)
    decoder = build_decoder(config, 9, encoder.output_shape[1:])
    middle = head.predict(PIXELS, verbose=0)
    before = encoder.predict(PIXELS, verbose=0)
    trainer = CaptionTrainer(TunedDecoder(tail, decoder))
    settings = {"warmup_steps": 0, "clip_norm": 0.0, "weight_decay": 0.0, "ema_momentum": 0.0}
    compile_trainer(trainer, make_optimizer(0.05, total_steps=10, **settings), 0.0)
    targets = IDS[..., 1:]
    losses = [
        trainer.train_on_batch((middle, IDS[..., :-1]), targets[targets != 0], return_dict=True)
        for _ in range(10)
    ]
    assert losses[-1]["loss"] < losses[0]["loss"]
    np.testing.assert_array_equal(head.predict(PIXELS, verbose=0), middle)
    after = encoder.predict(PIXELS, verbose=0)
    assert np.abs(after - before).max() > 1e-3
    features = trainer.decoder.features(middle)
    np.testing.assert_allclose(
        decoder.start(features).features, decoder.start(after).features, rtol=1e-5
    )
