"""Ids of captions, and batches in an order that seed and epoch alone decide."""

import numpy as np
import pytest

from model_lib.tokenizer import Tokenizer
from train.batches import CaptionBatches, PhotoBatches, encode_captions

TOKENIZER = Tokenizer.from_captions(["a dog", "a big dog runs"])  # a dog big runs = 4..7
CAPTIONS = [("A dog.", "a big dog runs", "a"), ("dog",)]
IDS = np.array(
    [
        [[2, 4, 5, 3, 0, 0], [2, 4, 6, 5, 7, 3]],
        [[2, 5, 3, 0, 0, 0], [0, 0, 0, 0, 0, 0]],
    ],
    np.int32,
)


def features(count, views=2):
    """Features [N,W,1,2] that tell their photo and view."""
    photo, view = np.meshgrid(np.arange(count), np.arange(views), indexing="ij")
    return np.stack([photo, view], axis=-1)[:, :, np.newaxis].astype(np.float16)


def test_captions_become_ids_no_longer_than_the_longest():
    ids = encode_captions(CAPTIONS, TOKENIZER, captions_per_image=2, length=20)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, IDS)


def test_a_long_caption_is_cut_and_keeps_its_end():
    ids = encode_captions(CAPTIONS, TOKENIZER, captions_per_image=2, length=4)
    np.testing.assert_array_equal(ids[0], [[2, 4, 5, 3], [2, 4, 6, 3]])


def test_the_first_caption_alone_is_a_setting():
    ids = encode_captions(CAPTIONS, TOKENIZER, captions_per_image=1, length=20)
    np.testing.assert_array_equal(ids, IDS[:, :1, :4])


def test_targets_are_the_captions_shifted_by_one_without_padding():
    inputs, targets = CaptionBatches(features(2), IDS, 2)[0]
    np.testing.assert_array_equal(inputs[1], IDS[..., :-1])
    np.testing.assert_array_equal(targets, [4, 5, 3, 4, 6, 5, 7, 3, 5, 3])
    np.testing.assert_array_equal(inputs[0][:, 0], [[0, 0], [1, 0]])


def test_padding_is_a_target_where_it_is_asked_for():
    inputs, targets = CaptionBatches(features(2), IDS[:, :1], 2, padded_length=7)[0]
    np.testing.assert_array_equal(inputs[1][:, 0], [[2, 4, 5, 3, 0, 0, 0], [2, 5, 3, 0, 0, 0, 0]])
    np.testing.assert_array_equal(targets, [4, 5, 3, 0, 0, 0, 0, 5, 3, 0, 0, 0, 0, 0])


def test_without_a_seed_batches_come_in_file_order_and_view_0():
    batches = PhotoBatches(features(7), 3)
    for epoch in (1, 2):
        batches.start_epoch(epoch)
        rows = [batches.read(index) for index in range(len(batches))]
        assert [row.tolist() for row, _ in rows] == [[0, 1, 2], [3, 4, 5], [6]], epoch
        assert all((read[:, 0, 1] == 0).all() for _, read in rows)


def test_every_photo_comes_once_an_epoch_with_its_own_features():
    batches = PhotoBatches(features(50), 8, seed=1)
    rows, read = map(np.concatenate, zip(*map(batches.read, range(len(batches))), strict=True))
    assert sorted(rows) == list(range(50))
    np.testing.assert_array_equal(read[:, 0, 0], rows)
    assert set(read[:, 0, 1]) == {0, 1}


def order(seed, *epochs):
    """Rows and views of the last of some epochs that were started one after the other."""
    batches = PhotoBatches(features(20), 20, seed=seed)
    for epoch in epochs:
        batches.start_epoch(epoch)
    rows, read = batches.read(0)
    return rows.tolist(), read[:, 0, 1].tolist()


def test_a_resumed_epoch_has_the_order_and_views_it_would_have_had():
    assert order(1) == order(1, 1)
    assert order(1, 3) == order(1, 1, 2, 3)


@pytest.mark.parametrize("other", [(1, 2), (2, 1)])
def test_other_seeds_and_epochs_have_other_orders(other):
    assert order(*other) != order(1, 1)


def test_word_dropout_hides_words_so_far_and_no_target():
    ids = np.full((40, 5, 12), 7, np.int32)
    ids[..., 0], ids[..., 9], ids[..., 10:] = 2, 3, 0
    features = np.zeros((40, 1, 2, 3), np.float16)
    batches = CaptionBatches(features, ids, 40, seed=3, word_dropout=0.25)
    (_, words), targets = batches[0]
    hidden = words == 1
    assert not hidden[..., [0, 9, 10]].any()
    assert hidden[..., 1:9].mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(np.where(hidden, 7, words), ids[..., :-1])
    np.testing.assert_array_equal(targets, np.tile([7] * 8 + [3], 200))
    np.testing.assert_array_equal(batches[0][0][1], words)  # the same when read again
    batches.start_epoch(2)
    assert (batches[0][0][1] != words).any()
    plain = CaptionBatches(features, ids, 40, word_dropout=0.25)  # no seed: validation
    np.testing.assert_array_equal(plain[0][0][1], ids[..., :-1])


def test_the_data_set_for_fit_gives_the_batches_of_the_epoch_that_was_started():
    batches = CaptionBatches(features(5), np.repeat(IDS, [3, 2], axis=0), 2, seed=1)
    dataset = batches.to_dataset()
    assert len(dataset) == 3
    for epoch in (1, 2):
        batches.start_epoch(epoch)
        read = list(dataset.as_numpy_iterator())
        assert len(read) == 3
        for index, (inputs, targets) in enumerate(read):
            expected = batches[index]
            for found, array in zip((*inputs, targets), (*expected[0], expected[1]), strict=True):
                assert found.dtype == array.dtype
                np.testing.assert_array_equal(found, array)


def test_an_epoch_does_not_wait_for_a_search_for_buffer_sizes():
    batches = CaptionBatches(features(2), IDS, 2)
    assert batches.to_dataset().options().autotune.enabled is False
