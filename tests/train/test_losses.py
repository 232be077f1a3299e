"""The smoothed loss against Keras's own, which needs one-hot targets."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from train.losses import SmoothedCrossEntropy

LOGITS = np.random.default_rng(0).normal(0, 3, (40, 11)).astype(np.float32)
WORDS = np.random.default_rng(1).integers(0, 11, 40)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_it_is_keras_categorical_cross_entropy_with_smoothing(smoothing):
    keras_loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    expected = keras_loss(np.eye(11, dtype=np.float32)[WORDS], LOGITS)
    found = SmoothedCrossEntropy(smoothing)(WORDS, LOGITS)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_it_is_the_mean_over_words():
    log_probs = LOGITS - np.log(np.exp(LOGITS).sum(axis=-1, keepdims=True))
    words = -log_probs[np.arange(40), WORDS]
    np.testing.assert_allclose(SmoothedCrossEntropy()(WORDS, LOGITS), words.mean(), rtol=1e-6)


def test_its_gradient_is_the_smoothed_target_minus_the_prediction():
    logits = keras.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = SmoothedCrossEntropy(0.1)(WORDS, logits)
    targets = 0.9 * np.eye(11)[WORDS] + 0.1 / 11
    expected = (np.asarray(keras.ops.softmax(LOGITS)) - targets) / len(WORDS)
    np.testing.assert_allclose(tape.gradient(loss, logits.value), expected, atol=1e-7)
