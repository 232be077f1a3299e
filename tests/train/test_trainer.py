"""The captioner's sanity suite: first loss, no gradient on padding, a toy batch overfits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model_lib import decoding
from model_lib.config import DecodeConfig, ModelConfig
from model_lib.decoder import build_decoder
from model_lib.tokenizer import END_ID, PAD_ID, Tokenizer
from train.batches import CaptionBatches, encode_captions
from train.losses import SmoothedCrossEntropy
from train.trainer import CaptionTrainer, compile_trainer, has_next_word, make_optimizer

DOT = {"attention": "dot", "initial_state": "zeros", "tie_embeddings": True}
MULTIHEAD = {"attention": "multihead", "num_heads": 2, "initial_state": "image"}
IDS = np.array(
    [
        [[2, 4, 5, 6, 3, 0, 0], [2, 7, 3, 0, 0, 0, 0]],
        [[2, 5, 4, 8, 9, 6, 3], [0, 0, 0, 0, 0, 0, 0]],
    ],
    np.int32,
)
CAPTIONS = [
    "a red circle on a black ground",
    "a green square",
    "two blue squares beside a red one",
    "nothing",
    "a yellow triangle on a white ground",
    "a red circle on a white ground",
]


def make_trainer(vocabulary_size, width=16, **settings):
    keras.utils.set_random_seed(1)
    config = ModelConfig(encoder="toy", pixel_scaling="file", width=width, **settings)
    return CaptionTrainer(build_decoder(config, vocabulary_size, (6, 5)))


def make_features(count):
    return np.random.default_rng(2).normal(0, 1, (count, 1, 6, 5)).astype(np.float16)


def loss_and_gradient(trainer, ids, smoothing=0.1):
    """Loss of a batch as `fit` computes it, and its gradient with respect to the embedding."""
    inputs, targets = CaptionBatches(make_features(len(ids)), ids, len(ids))[0]
    with tf.GradientTape() as tape:
        loss = SmoothedCrossEntropy(smoothing)(targets, trainer(inputs, training=True))
    gradient = tape.gradient(loss, trainer.decoder.embedding.embeddings.value)
    return float(loss), tf.convert_to_tensor(gradient).numpy()


def test_a_word_follows_every_word_but_the_last_and_padding():
    np.testing.assert_array_equal(
        has_next_word(IDS[..., :-1]),
        [[[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]], [[1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]]],
    )


@pytest.mark.parametrize("settings", [DOT | {"tie_embeddings": False}, MULTIHEAD])
def test_first_loss_is_near_the_logarithm_of_the_vocabulary(settings):
    # Fresh logits have a variance of 2 * width / (width + words) = 0.06, which adds half of it;
    # the rest of the tolerance, 0.1 of 7.6, is chance: some hundred words.
    words = 2000
    ids = np.random.default_rng(0).integers(4, words, (20, 5, 12)).astype(np.int32)
    ids[..., 0], ids[..., -1] = 2, END_ID
    loss, _ = loss_and_gradient(make_trainer(words, width=64, **settings), ids)
    assert loss == pytest.approx(np.log(words), abs=0.1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("settings", [DOT, MULTIHEAD])
def test_loss_is_the_masked_sum_over_the_number_of_real_words(settings, smoothing):
    trainer = make_trainer(10, **settings)
    inputs, _ = CaptionBatches(make_features(2), IDS, 2)[0]
    logits = trainer.decoder(inputs, training=False).numpy().astype(np.float64)  # [B,K,L,V]
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    targets, mask = IDS[..., 1:], IDS[..., 1:] != PAD_ID
    smooth = (1 - smoothing) * np.eye(10)[targets] + smoothing / 10
    losses = -(smooth * log_probs).sum(axis=-1)
    expected = (losses * mask).sum() / mask.sum()
    found, _ = loss_and_gradient(trainer, IDS, smoothing)
    assert mask.sum() == 12
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("settings", [DOT, MULTIHEAD])
def test_more_padding_changes_neither_loss_nor_gradient(settings):
    trainer = make_trainer(10, **settings)
    padded = np.pad(IDS, ((0, 0), (0, 1), (0, 4)))  # a missing caption and longer ones
    loss, gradient = loss_and_gradient(trainer, IDS)
    padded_loss, padded_gradient = loss_and_gradient(trainer, padded)
    assert padded_loss == pytest.approx(loss, rel=1e-6)
    np.testing.assert_allclose(padded_gradient, gradient, atol=1e-7)


def test_padding_and_end_get_no_gradient_as_inputs():
    _, gradient = loss_and_gradient(make_trainer(10, **MULTIHEAD), IDS)
    has_gradient = np.abs(gradient).max(axis=-1) > 0
    # <pad>, <unk> (not in these captions) and <end> are never read; all other words are.
    assert has_gradient.tolist() == [False, False, True, False] + [True] * 6


def test_words_after_the_end_change_no_score_before_it():
    trainer = make_trainer(10, **MULTIHEAD)
    inputs, _ = CaptionBatches(make_features(2), IDS, 2)[0]
    real = has_next_word(inputs[1])
    junk = np.where((inputs[1] == PAD_ID) & (IDS[..., :1] != PAD_ID), 7, inputs[1])
    assert (junk != inputs[1]).any()
    expected = trainer.decoder(inputs).numpy()[real]
    np.testing.assert_array_equal(trainer.decoder((inputs[0], junk)).numpy()[real], expected)


def test_scores_are_those_of_the_decoder_at_real_words():
    trainer = make_trainer(10, **DOT)
    inputs, targets = CaptionBatches(make_features(2), IDS, 2)[0]
    whole = trainer.decoder(inputs).numpy()[has_next_word(inputs[1])]
    assert len(targets) == len(whole) == 12
    np.testing.assert_allclose(trainer(inputs), whole, atol=1e-6)


def test_padding_counts_where_it_is_asked_for_as_in_the_course_s_notebook():
    trainer = make_trainer(10, **DOT)
    trainer.padding_loss = True
    ids, length = IDS[:, :1], 9
    inputs, targets = CaptionBatches(make_features(2), ids, 2, padded_length=length)[0]
    found = SmoothedCrossEntropy()(targets, trainer(inputs, training=True))
    # The notebook: loss of each position, mean over the 64 of a caption, mean over the batch.
    logits = trainer.decoder(inputs)[:, 0]
    real = np.pad(ids[:, 0, 1:], ((0, 0), (0, length - 6)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
    expected = np.mean(np.mean(loss(real, logits), axis=1))
    assert len(targets) == 2 * length
    assert float(found) == pytest.approx(expected, rel=1e-6)
    # Validation is without padding, so that it compares with other trainings.
    assert trainer(inputs, training=False).shape == (10, 10)


def greedy(decoder, features):
    memory = decoder.start(features)
    found = decoding.decode(
        lambda tokens, state: decoder.step(tokens, state, memory),
        memory.initial_state,
        DecodeConfig(method="greedy", max_length_tokens=12),
    )
    return found.token_ids.numpy()[:, 0]


@pytest.mark.parametrize("settings", [DOT, MULTIHEAD], ids=["dot", "multihead"])
def test_a_toy_batch_overfits(settings):
    tokenizer = Tokenizer.from_captions(CAPTIONS)
    ids = encode_captions([(text,) for text in CAPTIONS], tokenizer, 1, 20)
    features = make_features(len(CAPTIONS))
    trainer = make_trainer(len(tokenizer.words), width=32, **settings)
    optimizer = make_optimizer(
        0.02, total_steps=80, warmup_steps=5, clip_norm=5.0, weight_decay=0.0, ema_momentum=0.0
    )
    compile_trainer(trainer, optimizer, label_smoothing=0.0)
    batches = CaptionBatches(features, ids, len(CAPTIONS), seed=1)
    logs = trainer.fit(batches, epochs=80, verbose=0).history
    assert logs["word_loss"][-1] < 0.05
    assert logs["word_loss"] == pytest.approx(logs["loss"], rel=1e-5)
    assert logs["word_accuracy"][-1] == 1.0
    words = greedy(trainer.decoder, features[:, 0])
    assert [tokenizer.decode(row) for row in words] == CAPTIONS


def rates(total_steps, warmup_steps):
    optimizer = make_optimizer(
        0.1,
        total_steps=total_steps,
        warmup_steps=warmup_steps,
        clip_norm=0.0,
        weight_decay=0.0,
        ema_momentum=0.0,
    )
    found = []
    for step in range(total_steps + 1):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return found


def test_rate_warms_up_linearly_then_falls_as_a_cosine():
    found = rates(110, 10)
    assert found[:11] == pytest.approx(np.linspace(0.005, 0.1, 11))
    assert found[60] == pytest.approx(0.1 * (0.98 * 0.5 + 0.02))
    assert found[110] == pytest.approx(0.002)


@pytest.mark.parametrize(("total", "warmup", "highest"), [(1, 300, 0), (8, 300, 4), (8, 0, 0)])
def test_warm_up_takes_at_most_half_of_a_short_training(total, warmup, highest):
    found = rates(total, warmup)
    assert int(np.argmax(found)) == highest
    assert max(found) == pytest.approx(0.1)


def test_the_plainest_settings_are_keras_s_adam():
    ours = make_optimizer(
        1e-3,
        total_steps=7,
        warmup_steps=0,
        clip_norm=0.0,
        weight_decay=0.0,
        ema_momentum=0.0,
        decay_to=1.0,
    )
    found = []
    for optimizer in (ours, keras.optimizers.get("adam")):
        weight = keras.Variable([3.0, -1.0])
        for step in range(9):
            optimizer.apply([keras.ops.array([400.0 - step, 0.1 * step])], [weight])
        found.append(weight.numpy())
    np.testing.assert_array_equal(*found)


def step_of(clip_norm, weight_decay):
    """One step of a weight of 3 with a gradient of 400, at a rate of 0.1."""
    optimizer = make_optimizer(
        0.1,
        total_steps=10,
        warmup_steps=0,
        clip_norm=clip_norm,
        weight_decay=weight_decay,
        ema_momentum=0.0,
    )
    weight = keras.Variable([3.0])
    optimizer.apply([keras.ops.array([400.0])], [weight])
    first_moment = float(optimizer._momentums[0][0])
    return float(weight[0]), first_moment


def test_clipping_and_weight_decay_take_effect():
    assert step_of(clip_norm=0.0, weight_decay=0.0)[1] == pytest.approx(40.0)
    assert step_of(clip_norm=5.0, weight_decay=0.0)[1] == pytest.approx(0.5)
    assert step_of(clip_norm=5.0, weight_decay=0.0)[0] == pytest.approx(3 - 0.1, abs=1e-4)
    assert step_of(clip_norm=5.0, weight_decay=0.2)[0] == pytest.approx(
        3 - 3 * 0.1 * 0.2 - 0.1, abs=1e-4
    )
