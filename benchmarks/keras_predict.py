"""Keras `predict` of an encoder, as one calls it, and without its waits.

`predict` makes a data set of its arrays. Now and then it waits, when it is done, for a thread of
tf.data's (`train/input_options.py`), up to as long as it computed.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import Run
from train.input_options import make_input_options


def predict_run(encoder: keras.Model, pixels: np.ndarray[Any, Any], batch_size: int) -> Run:
    """Returns a run of `predict`.

    Args:
        encoder: image in, features out.
        pixels: float32 [N,S,S,3], values 0 to 255.
        batch_size: images of one step.
    """

    def run() -> None:
        encoder.predict(pixels, batch_size=batch_size, verbose=0)

    return run


def predict_without_waits_run(
    encoder: keras.Model, pixels: np.ndarray[Any, Any], batch_size: int
) -> Run:
    """Returns a run of `predict` that never waits; arguments as for `predict_run`."""
    dataset = untuned_dataset(pixels, batch_size)

    def run() -> None:
        encoder.predict(dataset, verbose=0)

    return run


def untuned_dataset(pixels: np.ndarray[Any, Any], batch_size: int) -> tf.data.Dataset:
    """Returns batches of pixels, the next one read ahead, for which `predict` does not wait."""
    dataset = tf.data.Dataset.from_tensor_slices(pixels).batch(batch_size)
    return dataset.prefetch(1).with_options(make_input_options())
