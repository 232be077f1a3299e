import numpy as np
import tensorflow as tf

from model_lib import hypotheses
from model_lib.config import DecodeConfig
from model_lib.hypotheses import Hypotheses, Longer, Rows
from model_lib.next_words import SpecialIds

IDS = SpecialIds()
END = IDS.end
BEAM = DecodeConfig(method="beam", beam_width=2, max_length_tokens=3)


def found_after_one_word(finished: list[list[bool]], log_probs: list[list[float]]) -> Hypotheses:
    """Two images with two hypotheses each, one word in."""
    words = [[[4, 0, 0], [END, 0, 0]], [[5, 0, 0], [6, 0, 0]]]
    return Hypotheses(
        tf.constant(words), tf.constant(log_probs), tf.ones([2, 2], tf.int32), tf.constant(finished)
    )


ONE_ENDED = found_after_one_word(
    [[False, True], [False, False]], [[-1.0, -2.0], [-3.0, -float("inf")]]
)


def test_one_hypothesis_of_a_beam_is_there_before_the_first_word() -> None:
    found = hypotheses.empty(2, BEAM, IDS)
    np.testing.assert_array_equal(found.log_probs, [[0, -np.inf], [0, -np.inf]])
    np.testing.assert_array_equal(found.token_ids, np.full((2, 2, 3), IDS.pad))
    rows = hypotheses.first_rows({"h": tf.constant([[7.0], [8.0]])}, found, IDS, keep_all=False)
    np.testing.assert_array_equal(rows.places, [0, 2])
    np.testing.assert_array_equal(rows.tokens, [IDS.start, IDS.start])
    np.testing.assert_array_equal(rows.state["h"], [[7.0], [8.0]])


def test_all_hypotheses_of_samples_are_there_and_share_their_images_state() -> None:
    config = DecodeConfig(method="sample", num_captions=3, max_length_tokens=3)
    found = hypotheses.empty(2, config, IDS)
    np.testing.assert_array_equal(found.log_probs, np.zeros((2, 3)))
    rows = hypotheses.first_rows(tf.constant([[7.0], [8.0]]), found, IDS, keep_all=False)
    np.testing.assert_array_equal(rows.places, [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(rows.state[:, 0], [7, 7, 7, 8, 8, 8])


def test_what_has_ended_or_never_was_does_not_grow() -> None:
    np.testing.assert_array_equal(hypotheses.grows(ONE_ENDED), [[True, False], [True, False]])
    np.testing.assert_array_equal(hypotheses.places_of(ONE_ENDED, keep_all=False), [0, 2])
    np.testing.assert_array_equal(hypotheses.places_of(ONE_ENDED, keep_all=True), [0, 1, 2, 3])


def test_values_of_rows_go_to_their_places() -> None:
    put = hypotheses.put(tf.constant([0, 3]), tf.constant([[1, 2], [3, 4]]), ONE_ENDED, 9)
    np.testing.assert_array_equal(put, [[[1, 2], [9, 9]], [[9, 9], [3, 4]]])


def test_next_rows_have_the_state_of_the_hypothesis_they_came_from() -> None:
    before = Rows(tf.constant([0, 2]), tf.constant([4, 5]), None)
    state = tf.constant([[0.5], [0.6]])  # after the step, of places 0 and 2
    grown = found_after_one_word([[False, True], [False, False]], [[-1.0, -2.0], [-3.0, -4.0]])
    # Both hypotheses of the second image continue its first one.
    after = Longer(grown, tf.constant([[6, END], [7, 4]]), tf.constant([[0, 0], [2, 2]]))
    rows = hypotheses.next_rows(before, state, after, grown, keep_all=False)
    np.testing.assert_array_equal(rows.places, [0, 2, 3])
    np.testing.assert_array_equal(rows.tokens, [6, 7, 4])
    np.testing.assert_array_equal(rows.state, tf.constant([[0.5], [0.6], [0.6]]))


def test_words_are_written_at_one_position() -> None:
    after = hypotheses.write(ONE_ENDED.token_ids, tf.constant(1), tf.constant([[7, 0], [5, 6]]))
    expected = [[[4, 7, 0], [END, 0, 0]], [[5, 5, 0], [6, 6, 0]]]
    np.testing.assert_array_equal(after, expected)


def test_the_best_comes_first_and_equals_keep_their_order() -> None:
    ranks = tf.constant([[-2.0, -1.0], [-3.0, -3.0]])
    ordered = hypotheses.best_first(ONE_ENDED, ranks)
    np.testing.assert_array_equal(ordered.token_ids[:, :, 0], [[END, 4], [5, 6]])
    np.testing.assert_array_equal(ordered.finished, [[True, False], [False, False]])


def test_flat_and_by_image_undo_each_other() -> None:
    state = (tf.reshape(tf.range(24), [2, 3, 4]), tf.reshape(tf.range(6), [2, 3]))
    flat = hypotheses.flat(state)
    assert [tuple(part.shape) for part in flat] == [(6, 4), (6,)]
    for part, again in zip(state, hypotheses.by_image(flat, 3), strict=True):
        np.testing.assert_array_equal(again, part)
