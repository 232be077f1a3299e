"""Training batches: features and captions of some photos, in an order that can be repeated.

Takes memory-mapped features float16 [N,W,P,C] and token ids int32 [N,K,L+1]; yields
`((features [B,P,C], words so far [B,K,L]), next words [M])`: the targets are the captions
shifted by one, as `train.trainer` predicts them, without their padding unless it is asked for.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model_lib.tokenizer import END_ID, PAD_ID, UNKNOWN_ID, Tokenizer
from train.input_options import make_input_options


def encode_captions(
    captions: list[tuple[str, ...]], tokenizer: Tokenizer, captions_per_image: int, length: int
) -> np.ndarray[Any, Any]:
    """Turns captions into ids.

    Args:
        captions: texts of each photo.
        tokenizer: the vocabulary.
        captions_per_image: K; of more captions the first K are taken, missing ones are padding.
        length: most tokens of a caption, `<start>` and `<end>` included; longer ones are cut.

    Returns:
        int32 [N,K,L+1]; L+1 is `length`, or less where no caption is as long.
    """
    ids = np.full((len(captions), captions_per_image, length), PAD_ID, np.int32)
    for row, texts in enumerate(captions):
        for column, text in enumerate(texts[:captions_per_image]):
            ids[row, column] = tokenizer.encode(text, length)
    longest = int((ids != PAD_ID).sum(axis=-1).max(initial=2))
    return ids[..., :longest]


class PhotoBatches(keras.utils.PyDataset):
    """Photos in an order, and with views, that depend on the seed and the epoch alone."""

    def __init__(
        self, features: np.ndarray[Any, Any], batch_size: int, *, seed: int | None = None
    ) -> None:
        """Keeps references; nothing is read yet.

        Args:
            features: float16 [N,W,P,C], usually memory-mapped.
            batch_size: photos a batch; each comes with all its captions.
            seed: of order and views; None means file order and view 0, for validation.
        """
        super().__init__()
        self.seed = seed
        self._features = features
        self._batch_size = batch_size
        self.start_epoch(1)

    def __len__(self) -> int:
        """Returns the number of batches an epoch; the last one may be short."""
        return -(-len(self._features) // self._batch_size)

    def read(self, index: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Returns a batch's rows int [B] in the data set and features float16 [B,P,C]."""
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return rows, np.stack([self._features[row, self._views[row]] for row in rows])

    def start_epoch(self, epoch: int) -> None:
        """Draws an epoch's order and views.

        Keras's own `on_epoch_end` does not serve: `fit` calls it once more at its start.

        Args:
            epoch: 1 is the first.
        """
        self.epoch = epoch
        count, num_views = self._features.shape[:2]
        self._order, self._views = np.arange(count), np.zeros(count, np.int64)
        if self.seed is not None:
            random = np.random.default_rng([self.seed, epoch])
            self._order = random.permutation(count)
            self._views = random.integers(num_views, size=count)

    def to_dataset(self) -> tf.data.Dataset:
        """Returns the batches for `fit`, read ahead while one is trained on.

        Each time it is gone through, it gives the epoch that `start_epoch` drew last. Keras would
        make such a data set by itself, but with the waits of `make_input_options`.
        """

        def read() -> Iterator[Any]:
            for index in range(len(self)):
                yield self[index]

        signature = tf.nest.map_structure(
            lambda array: tf.TensorSpec([None, *array.shape[1:]], array.dtype), self[0]
        )
        dataset = tf.data.Dataset.from_generator(read, output_signature=signature)
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(self)))
        return dataset.prefetch(2).with_options(make_input_options())


class CaptionBatches(PhotoBatches):
    """Batches for teacher forcing."""

    def __init__(
        self,
        features: np.ndarray[Any, Any],
        ids: np.ndarray[Any, Any],
        batch_size: int,
        *,
        seed: int | None = None,
        padded_length: int = 0,
        word_dropout: float = 0.0,
    ) -> None:
        """Keeps references; nothing is read yet.

        Args:
            features: float16 [N,W,P,C], usually memory-mapped.
            ids: int32 [N,K,L+1], of `encode_captions`.
            batch_size: photos a batch.
            seed: as for `PhotoBatches`.
            padded_length: length to which words and targets are padded, for a loss in which
                padding counts; 0 leaves padding out of the targets.
            word_dropout: share of the words so far that are replaced by the unknown word, so that
                the next one is guessed from the photo rather than from them (Bowman et al. 2016,
                https://arxiv.org/abs/1511.06349); not without a seed.
        """
        super().__init__(features, batch_size, seed=seed)
        self._ids = ids
        self._padded_length = padded_length
        self._word_dropout = word_dropout if seed is not None else 0.0

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Reads one batch."""
        rows, features = self.read(index)
        ids = self._ids[rows]
        if self._padded_length:
            missing = self._padded_length + 1 - ids.shape[-1]
            ids = np.pad(ids, ((0, 0), (0, 0), (0, missing)), constant_values=PAD_ID)
            return (features, self._words_so_far(ids, index)), ids[..., 1:].reshape(-1)
        targets = ids[..., 1:]
        return (features, self._words_so_far(ids, index)), targets[targets != PAD_ID]

    def _words_so_far(self, ids: np.ndarray[Any, Any], index: int) -> np.ndarray[Any, Any]:
        words = ids[..., :-1]
        if not self._word_dropout:
            return words
        random = np.random.default_rng([self.seed or 0, self.epoch, index, 2])
        dropped = (random.random(words.shape) < self._word_dropout) & (words > END_ID)
        return np.where(dropped, UNKNOWN_ID, words).astype(np.int32)
