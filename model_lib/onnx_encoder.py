"""The encoder in ONNX Runtime, whose convolutions are faster than TensorFlow's on CPUs.

Needs the extra `onnx` (onnxruntime, tf2onnx). The Keras encoder is converted when it is loaded,
which takes some seconds; nothing is written to disk.

Legend: B batch, S image side in pixels, P positions of the feature map, C its channels.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model_lib.encoder_runtime import Encode

# Of ONNX's operators; every onnxruntime that the extra allows knows it.
_OPSET = 17


def onnx_encoder(encoder: keras.Model, size: int, threads: int) -> Encode:
    """Converts an encoder.

    Args:
        encoder: images [B,S,S,3] (0..255) -> features [B,P,C].
        size: B; to know it saves a percent of the time.
        threads: of one call; calls may be made side by side.

    Returns:
        The encoder for B images; later changes of its weights do not reach it.
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

    [output] = session.get_outputs()
    shape = (size, *encoder.output_shape[1:])

    def run(pixels: np.ndarray[Any, Any], out: np.ndarray[Any, Any] | None = None) -> Any:
        features = np.empty(shape, np.float32) if out is None else out
        # Binding tells only addresses: both must be whole pieces of memory, of these types.
        check_arrays(pixels, features)
        binding = session.io_binding()
        binding.bind_input("pixels", "cpu", 0, np.uint8, pixels.shape, pixels.ctypes.data)
        binding.bind_output(output.name, "cpu", 0, np.float32, features.shape, features.ctypes.data)
        session.run_with_iobinding(binding)
        return features

    return run


def check_arrays(pixels: np.ndarray[Any, Any], features: np.ndarray[Any, Any]) -> None:
    """Checks that memory may be read and written by its address.

    Raises:
        ValueError: naming the array that has another type or gaps.
    """
    for name, array, dtype in (("pixels", pixels, np.uint8), ("features", features, np.float32)):
        if array.dtype != dtype or not array.flags.c_contiguous:
            raise ValueError(
                f"{name} is {array.dtype} with strides {array.strides}; "
                f"expected {np.dtype(dtype).name} without gaps"
            )
