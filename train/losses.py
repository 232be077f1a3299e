"""The loss of next-word prediction.

Words come flat: the model returns logits only where a real word follows (`train.trainer`), so
padding costs nothing and gets no gradient. The mean over these words is the sum of the masked
loss divided by the number of real words.

Legend: M real words of a batch, V vocabulary size.
"""

from typing import Any

import keras
from keras import ops


class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy with label smoothing, averaged over real words.

    With smoothing e the target is 1-e on the word and e/V on every word (Szegedy et al. 2016,
    https://arxiv.org/abs/1512.00567). Unlike `keras.losses.CategoricalCrossentropy` it takes
    ids and makes no [M,V] targets.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "cross_entropy") -> None:
        """Keeps the share of probability that smoothing spreads, 0..1."""
        super().__init__(name=name, reduction="sum_over_batch_size")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns losses [M] of word ids [M] under logits float32 [M,V]."""
        word = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        if not self.label_smoothing:
            return word
        every_word = ops.logsumexp(y_pred, axis=-1) - ops.mean(y_pred, axis=-1)
        return (1.0 - self.label_smoothing) * word + self.label_smoothing * every_word
