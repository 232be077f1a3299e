"""Runs of the captioner and its encoder in memory: uint8 pixels in, captions or features out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.settings import Settings, photo_paths
from benchmarks.timing import Run
from model_lib.captioner import Captioner
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


def encode_run(captioner: Captioner, images: Sequence[PreparedImage], batch_size: int) -> Run:
    """Returns a run of the captioner's own encoder, which writes to the same memory each time."""
    features = captioner.encode_prepared(images, batch_size)

    def run() -> None:
        captioner.encode_prepared(images, batch_size, out=features)

    return run


def caption_run(
    captioner: Captioner, images: Sequence[PreparedImage], decode: DecodeConfig, batch_size: int
) -> Run:
    """Returns a run of the captioner over prepared images."""

    def run() -> None:
        captioner.caption_prepared(images, decode, batch_size)

    return run
