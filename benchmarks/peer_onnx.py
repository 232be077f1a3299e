"""ONNX Runtime on the captioner's encoder: the same weights, the same uint8 pixels.

Needs the extra `bench` (onnxruntime, tf2onnx). The graph is made with variables folded into
constants and optimised in full; threads are the machine's cores, as TensorFlow's are.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from model_lib.captioner import Captioner

OPSET = 17


def encode_function(captioner: Captioner, batch_size: int) -> Callable[[Any], Any]:
    """Returns the encoder in ONNX Runtime: uint8 [B,S,S,3] -> features float32 [B,P,C].

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
    options.intra_op_num_threads = os.cpu_count() or 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda pixels: session.run(None, {"pixels": pixels})[0]


def largest_difference(left: Any, right: Any) -> float:
    """Returns the largest absolute difference of two features, over the largest value."""
    return float(np.max(np.abs(left - right)) / np.max(np.abs(left)))
