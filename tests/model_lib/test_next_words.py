import numpy as np
import pytest
import tensorflow as tf

from model_lib.config import DecodeConfig
from model_lib.next_words import SpecialIds, banned, best_words, likeliest, log_probs, sample


@pytest.mark.parametrize("size", [10, 64, 192, 640, 650])
@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_best_words_are_those_of_top_k(size, count):
    generator = np.random.default_rng(size)
    # Few different values: equal ones must come in the vocabulary's order.
    logits = tf.constant(generator.integers(0, 40, [7, size]).astype(np.float32))
    values, words = best_words(logits, count)
    expected_values, expected_words = tf.math.top_k(logits, count)
    np.testing.assert_array_equal(values, expected_values)
    np.testing.assert_array_equal(words, expected_words)


def test_log_probabilities_are_a_log_softmax():
    logits = tf.constant([[1.0, 2.0, -np.inf, 4.0], [0.0, 0.0, 0.0, -np.inf]])
    largest = tf.reduce_max(logits, axis=-1, keepdims=True)
    np.testing.assert_allclose(
        log_probs(logits, logits, largest), tf.nn.log_softmax(logits), atol=1e-6
    )


def test_which_words_may_not_follow():
    ids = SpecialIds(0, 1, 2, 3)
    early = banned(6, tf.constant(0), DecodeConfig(min_length_tokens=2), ids)
    late = banned(6, tf.constant(2), DecodeConfig(min_length_tokens=2), ids)
    assert early.numpy().tolist() == [True, True, True, True, False, False]
    assert late.numpy().tolist() == [True, True, True, False, False, False]


def test_the_likeliest_word():
    assert likeliest(tf.constant([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])).numpy().tolist() == [1, 0]


def test_samples_follow_the_probabilities_within_top_k():
    logits = tf.math.log(tf.constant([[0.1, 0.6, 0.3]] * 4))
    config = DecodeConfig(method="sample", top_k=2)
    words = sample(logits, tf.constant([0.0, 0.6, 0.7, 0.999]), config)
    assert words.numpy().tolist() == [1, 1, 2, 2]
