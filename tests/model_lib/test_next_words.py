import numpy as np
import pytest
import tensorflow as tf

from model_lib.config import DecodeConfig
from model_lib.next_words import (
    SpecialIds,
    best_words,
    log_probs,
    offsets,
    sample,
    without_repeats,
)


@pytest.mark.parametrize("size", [10, 48, 144, 624, 650])
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
    early = offsets(6, tf.constant(0), DecodeConfig(min_length_tokens=2), ids)
    late = offsets(6, tf.constant(2), DecodeConfig(min_length_tokens=2), ids)
    never = -np.inf
    assert early.numpy().tolist() == [never, never, never, never, 0, 0]
    assert late.numpy().tolist() == [never, never, never, 0, 0, 0]


def test_samples_follow_the_probabilities_within_top_k():
    logits = tf.math.log(tf.constant([[0.1, 0.6, 0.3]] * 4))
    config = DecodeConfig(method="sample", top_k=2)
    words = sample(logits, tf.constant([0.0, 0.6, 0.7, 0.999]), config)
    assert words.numpy().tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("words", "size", "gone"),
    [
        ([4, 5, 4, 6, 4], 1, {4, 5, 6}),
        ([4, 5, 4, 6, 4], 2, {5, 6}),  # "4 5" and "4 6" were said
        ([5, 4, 6, 5, 4], 3, {6}),  # "5 4 6" was said
        ([4, 5, 4, 6, 4], 3, set()),
        ([4, 4], 3, set()),  # "4 4 4" was not said yet
        ([4, 4, 4], 3, {4}),
        ([4], 3, set()),
        ([4, 5], 9, set()),
    ],
)
def test_a_phrase_does_not_end_twice(words, size, gone):
    behind = [7] * (8 - len(words))  # is not read
    ids = tf.constant([words + behind])
    found = without_repeats(tf.zeros([1, 10]), ids, tf.constant(len(words)), size)
    assert {word for word in range(10) if found[0, word] < 0} == gone


def test_rows_are_judged_apart():
    ids = tf.constant([[4, 5, 4, 0], [4, 5, 6, 0]])
    found = without_repeats(tf.ones([2, 8]), ids, tf.constant(3), 2).numpy()
    expected = np.ones((2, 8), np.float32)
    expected[0, 5] = -np.inf
    np.testing.assert_array_equal(found, expected)
