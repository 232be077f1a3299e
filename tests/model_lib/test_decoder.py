import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from model_lib.config import ModelConfig
from model_lib.decoder import CaptionDecoder, build_decoder

# Images, positions, channels, captions an image, tokens, width, words.
B, P, C, K, L, D, V = 2, 5, 6, 3, 5, 8, 11
RANDOM = np.random.default_rng(1)
FEATURES = RANDOM.normal(size=(B, P, C)).astype(np.float32)
IDS = RANDOM.integers(0, V, (B, K, L)).astype(np.int32)
KINDS = [
    {"attention": attention, "initial_state": start, "tie_embeddings": tied}
    for attention, start, tied in itertools.product(
        ("dot", "multihead"), ("zeros", "image"), (False, True)
    )
]


def make(seed: int = 0, **settings: Any) -> CaptionDecoder:
    """Builds a decoder with weights that are all random and large enough to tell."""
    keras.utils.set_random_seed(seed)
    config = ModelConfig.from_dict({"width": D, "num_heads": 2, **settings})
    decoder = build_decoder(config, V, (P, C))
    random = np.random.default_rng(seed)
    decoder.set_weights([random.normal(0, 0.7, w.shape) for w in decoder.get_weights()])
    return decoder


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def decoder(request: pytest.FixtureRequest) -> CaptionDecoder:
    return make(**request.param)


def test_steps_give_the_logits_of_whole_captions(decoder: CaptionDecoder) -> None:
    expected = ops.convert_to_numpy(decoder((FEATURES, IDS)))
    assert expected.shape == (B, K, L, V)
    assert expected.dtype == np.float32
    memory = decoder.start(FEATURES)
    state = ops.repeat(memory.initial_state[:, None], K, axis=1)
    for position in range(L):
        logits, state = decoder.step(IDS[:, :, position], state, memory)
        assert logits.shape == (B, K, V)
        np.testing.assert_allclose(logits, expected[:, :, position], rtol=1e-4, atol=1e-5)


def test_captions_and_images_do_not_touch_each_other(decoder: CaptionDecoder) -> None:
    together = ops.convert_to_numpy(decoder((FEATURES, IDS)))
    for image, caption in itertools.product(range(B), range(K)):
        alone = decoder((FEATURES[[image]], IDS[[image], caption : caption + 1]))
        np.testing.assert_allclose(alone[0, 0], together[image, caption], rtol=1e-4, atol=1e-5)


def test_later_tokens_do_not_change_earlier_logits(decoder: CaptionDecoder) -> None:
    before = ops.convert_to_numpy(decoder((FEATURES, IDS)))
    for position in range(1, L):
        padded = IDS.copy()
        padded[:, :, position:] = 0
        after = ops.convert_to_numpy(decoder((FEATURES, padded)))
        np.testing.assert_array_equal(after[:, :, :position], before[:, :, :position])


def test_every_weight_is_trained_and_every_input_counts(decoder: CaptionDecoder) -> None:
    features = tf.constant(FEATURES)
    with tf.GradientTape() as tape:
        tape.watch(features)
        logits = decoder((features, IDS), training=True)
        loss = tf.reduce_mean(tf.square(logits - 1.0))
    weights = [weight.value for weight in decoder.trainable_variables]
    *of_weights, of_features = tape.gradient(loss, [*weights, features])
    # A key's bias moves all scores of a query alike: softmax takes it out.
    still = {w.path for w in decoder.weights if w.path.endswith("key/bias")}
    for weight, gradient in zip(decoder.trainable_variables, of_weights, strict=True):
        moved = np.abs(tf.convert_to_tensor(gradient)).max() > 1e-6
        assert moved == (weight.path not in still), weight.path
    assert np.all(np.abs(of_features).max(axis=-1) > 0)


def test_saved_weights_are_loaded_whole(decoder: CaptionDecoder, tmp_path: Path) -> None:
    path = str(tmp_path / "decoder.weights.h5")
    decoder.save_weights(path)
    other = build_decoder(decoder.config, V, (P, C))
    other.load_weights(path)
    assert [w.path for w in other.weights] == [w.path for w in decoder.weights]
    for saved, loaded in zip(decoder.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, saved)
    np.testing.assert_array_equal(other((FEATURES, IDS)), decoder((FEATURES, IDS)))


def test_a_graph_of_any_batch_captions_and_length(decoder: CaptionDecoder) -> None:
    signature = [tf.TensorSpec([None, P, C]), tf.TensorSpec([None, None, None], tf.int32)]
    graph = tf.function(lambda *inputs: decoder(inputs), input_signature=signature)
    expected = decoder((FEATURES, IDS))
    np.testing.assert_allclose(graph(FEATURES, IDS), expected, rtol=1e-4, atol=1e-5)
    fewer = graph(FEATURES[:1], IDS[:1, :2, :4])
    np.testing.assert_allclose(fewer, expected[:1, :2, :4], rtol=1e-4, atol=1e-5)


def test_the_initial_state_is_zero_or_the_image_s() -> None:
    assert np.all(make(initial_state="zeros").start(FEATURES).initial_state == 0)
    states = np.asarray(make(initial_state="image").start(FEATURES).initial_state)
    assert states.shape == (B, D)
    assert np.abs(states[0] - states[1]).max() > 0.01


def test_tied_embeddings_are_the_last_layer() -> None:
    decoder = make(tie_embeddings=True)
    joined = RANDOM.normal(size=(2, D)).astype(np.float32)
    embeddings, bias = decoder.embedding.get_weights()[0], np.asarray(decoder.logits_bias)
    expected = joined @ embeddings.T + bias
    np.testing.assert_allclose(decoder.predict_words(joined), expected, rtol=1e-5, atol=1e-5)
    assert decoder.count_params() == make().count_params() - D * V


def test_dropout_is_for_training_only() -> None:
    decoder = make(dropout=0.5)
    plain = make(dropout=0.0)((FEATURES, IDS))
    np.testing.assert_array_equal(decoder((FEATURES, IDS)), plain)
    np.testing.assert_array_equal(decoder((FEATURES, IDS), training=False), plain)
    keras.utils.set_random_seed(1)
    first, second = (np.asarray(decoder((FEATURES, IDS), training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 0.1


def test_the_seed_decides_the_first_weights() -> None:
    config = ModelConfig(width=D)
    decoders = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        decoders.append(build_decoder(config, V, (P, C)))
    first, same, other = (decoder.get_weights() for decoder in decoders)
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
