"""The encoder in ONNX Runtime, whose convolutions are faster than TensorFlow's on CPUs.

Needs the extra `onnx` (onnxruntime, tf2onnx). The Keras encoder is converted when it is loaded,
which takes some seconds; nothing is written to disk.

Legend: B batch, S image side in pixels, P positions of the feature map, C its channels.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Of ONNX's operators; every onnxruntime that the extra allows knows it.
_OPSET = 17


def onnx_encoder(encoder: keras.Model, size: int, threads: int) -> Callable[[Any], list[Any]]:
    """Converts an encoder.

    Args:
        encoder: images [B,S,S,3] (0..255) -> features [B,P,C].
        size: B; to know it saves a percent of the time.
        threads: of one call; calls may be made side by side.

    Returns:
        A function pixels uint8 [B,S,S,3] -> [features float32 [B,P,C]]; later changes of the
        encoder's weights do not reach it.
    """
    import onnxruntime
    import tf2onnx

    signature = [tf.TensorSpec([size, *encoder.input_shape[1:]], tf.uint8, name="pixels")]

    @tf.function(input_signature=signature, autograph=False)
    def encode(pixels: Any) -> Any:
        return encoder(tf.cast(pixels, tf.float32), training=False)

    model, _ = tf2onnx.convert.from_function(encode, input_signature=signature, opset=_OPSET)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; it warns of each shape that it infers otherwise
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(pixels: np.ndarray[Any, Any]) -> list[Any]:
        features: list[Any] = session.run(None, {"pixels": pixels})
        return features

    return run
