"""Runs of the captioner and its encoder in memory: uint8 pixels in, captions or features out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.settings import Settings, photo_paths
from benchmarks.timing import Run
from model_lib.captioner import Captioner
from model_lib.compiled import freeze
from model_lib.config import DecodeConfig
from model_lib.preprocessing import PreparedImage

GREEDY = DecodeConfig(method="greedy")


def greedy(captioner: Captioner) -> DecodeConfig:
    """Returns greedy decoding with the bundle's own limits of length."""
    own = captioner.info.decode
    return GREEDY.replace(
        max_length_tokens=own.max_length_tokens, min_length_tokens=own.min_length_tokens
    )


def beam(captioner: Captioner, width: int = 3) -> DecodeConfig:
    """Returns the bundle's own beam search, of this width."""
    own = captioner.info.decode
    return greedy(captioner).replace(
        method="beam", beam_width=width, length_penalty=own.length_penalty
    )


def prepare(captioner: Captioner, settings: Settings) -> list[PreparedImage]:
    """Decodes the photos once; repeats them where there are fewer than --images."""
    paths = photo_paths(settings.photos)
    some = paths[: settings.images]
    prepared = [captioner.preprocessor(path.read_bytes()) for path in some]
    return [prepared[number % len(prepared)] for number in range(settings.images)]


def stack(images: Sequence[PreparedImage]) -> np.ndarray[Any, Any]:
    """Returns uint8 pixels [N,S,S,3]."""
    return np.stack([image.pixels for image in images])


def encode_function(captioner: Captioner, batch_size: int) -> Callable[[Any], Any]:
    """Returns the encoder as the captioner has it: frozen, uint8 [B,S,S,3] -> features [B,P,C]."""
    size = captioner.info.preprocess.image_size
    run = freeze(
        lambda batch: captioner.encoder(tf.cast(batch, tf.float32), training=False),
        [tf.TensorSpec([batch_size, size, size, 3], tf.uint8)],
    )
    return lambda pixels: run(pixels)[0].numpy()


def over_batches(
    function: Callable[[Any], Any], pixels: np.ndarray[Any, Any], batch_size: int
) -> Run:
    """Returns a run of a function over whole batches of pixels."""

    def run() -> None:
        for start in range(0, len(pixels) - batch_size + 1, batch_size):
            function(pixels[start : start + batch_size])

    return run


def caption_run(
    captioner: Captioner, images: Sequence[PreparedImage], decode: DecodeConfig, batch_size: int
) -> Run:
    """Returns a run of the captioner over prepared images."""

    def run() -> None:
        captioner.caption_prepared(images, decode, batch_size)

    return run
