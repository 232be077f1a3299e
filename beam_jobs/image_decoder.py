"""Decoding a batch of images on all cores: encoded bytes in, pixels or a failure for each.

Decoding and resizing leave Python's lock to other threads, so a batch is decoded by as many threads
as there are cores, the caller's among them, each taking the next image when it is done with one.
One decoder serves a worker process; any thread may use it.
"""

import concurrent.futures
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from beam_jobs.counters import DECODE_MS, IMAGES_DECODED, count, observe
from beam_jobs.fetching.pauses import local_reads_paused
from beam_jobs.records import Failure
from model_lib.config import PreprocessConfig

if TYPE_CHECKING:
    from model_lib.preprocessing import PreparedImage


class EncodedImage(NamedTuple):
    """An image as read: what names it, its encoded bytes, and values carried into its row."""

    uri: str
    data: bytes
    carried: tuple[object, ...] = ()


class ImageDecoder:
    """Decodes batches."""

    def __init__(self, config: PreprocessConfig) -> None:
        """Starts no thread yet.

        Args:
            config: how images become the model's input.
        """
        # Imported late: it loads TensorFlow, which the launcher does not need.
        from model_lib.preprocessing import Preprocessor

        self._preprocessor = Preprocessor(config)
        self._num_helpers = (os.cpu_count() or 1) - 1
        self._helpers = concurrent.futures.ThreadPoolExecutor(
            max(self._num_helpers, 1), thread_name_prefix="decode"
        )

    def decode(self, batch: Sequence[EncodedImage | Failure]) -> "list[PreparedImage | Failure]":
        """Decodes a batch; images that could not be read pass through.

        Args:
            batch: encoded images, and failures.

        Returns:
            For each element, in order, its pixels or why there are none.
        """
        decoded: dict[int, tuple[PreparedImage | Failure, float]] = {}
        waiting = iter(enumerate(batch))

        def work() -> None:
            for place, element in waiting:
                decoded[place] = self._decode(element)

        # A task for each thread, not for each image: handing those out took a sixth as long as
        # decoding small ones.
        with local_reads_paused():
            tasks = [self._helpers.submit(work) for _ in range(self._num_helpers)]
            work()
            for task in tasks:
                task.result()
        in_order = [decoded[place] for place in range(len(batch))]
        # Beam's metrics belong to the thread that runs the step.
        for prepared, secs in in_order:
            if not isinstance(prepared, Failure):
                observe(DECODE_MS, secs * 1000)
                count(IMAGES_DECODED)
        return [prepared for prepared, _ in in_order]

    def _decode(self, element: EncodedImage | Failure) -> "tuple[PreparedImage | Failure, float]":
        if isinstance(element, Failure):
            return element, 0.0
        started_secs = time.monotonic()
        prepared: PreparedImage | Failure
        try:
            prepared = self._preprocessor(element.data)
        # The record boundary: whatever one image's bytes cause is that image's failure.
        except Exception as error:
            prepared = Failure.from_error(element.uri, "decode", error, carried=element.carried)
        return prepared, time.monotonic() - started_secs
