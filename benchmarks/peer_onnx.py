"""ONNX Runtime on the captioner's encoder: the same weights, the same decoded images.

Needs the extra `bench` (onnxruntime, tf2onnx). The graph is made with variables folded into
constants and optimised in full. It runs as fast as it can: with a thread for each core in one
call, or with calls of one thread side by side.
"""

import concurrent.futures
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.captioning import stack
from benchmarks.timing import Run
from model_lib.captioner import Captioner
from model_lib.preprocessing import PreparedImage

OPSET = 17
CORES = os.cpu_count() or 1
SMALL_BATCH = 4


def encode_runs(
    captioner: Captioner, images: Sequence[PreparedImage], batch_size: int
) -> dict[str, Run]:
    """Returns runs of the encoder over images, one for each way to run it.

    Args:
        captioner: whose encoder it is.
        images: decoded; each run stacks them to batches, as whoever decodes images must.
        batch_size: of the captioner.
    """
    small = min(SMALL_BATCH, batch_size)
    plans = {(small, CORES), (batch_size, CORES), (small, 1), (min(2, batch_size), 1)}
    return {
        f"ONNX Runtime, {size} images, {threads} threads": _run(
            encode_function(captioner, size, threads), images, size, CORES // threads
        )
        for size, threads in sorted(plans)
    }


def _run(
    encode: Callable[[Any], Any], images: Sequence[PreparedImage], size: int, side_by_side: int
) -> Run:
    pool = concurrent.futures.ThreadPoolExecutor(side_by_side)
    # Whole batches; what is left over is left out.
    starts = range(0, len(images) - size + 1, size)

    def encode_from(start: int) -> Any:
        return encode(stack(images[start : start + size]))

    def run() -> None:
        list(pool.map(encode_from, starts))

    return run


def encode_function(
    captioner: Captioner, batch_size: int, threads: int = CORES
) -> Callable[[Any], Any]:
    """Returns the encoder in ONNX Runtime: uint8 [B,S,S,3] -> features float32 [B,P,C].

    Args:
        captioner: whose encoder it is.
        batch_size: B.
        threads: of one call.

    Raises:
        ImportError: without the extra `bench`.
    """
    import onnxruntime
    import tf2onnx

    size = captioner.info.preprocess.image_size
    signature = [tf.TensorSpec([batch_size, size, size, 3], tf.uint8, name="pixels")]

    @tf.function(input_signature=signature, autograph=False)
    def encode(pixels: Any) -> Any:
        return captioner.encoder(tf.cast(pixels, tf.float32), training=False)

    model, _ = tf2onnx.convert.from_function(encode, input_signature=signature, opset=OPSET)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda pixels: session.run(None, {"pixels": pixels})[0]


def largest_difference(left: Any, right: Any) -> float:
    """Returns the largest absolute difference of two features, over the largest value."""
    return float(np.max(np.abs(left - right)) / np.max(np.abs(left)))
