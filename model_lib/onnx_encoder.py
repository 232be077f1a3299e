"""The encoder in ONNX Runtime, whose convolutions are faster than TensorFlow's on CPUs.

Needs the extra `onnx` (onnxruntime, tf2onnx). The Keras encoder is converted when it is loaded,
which takes some seconds; nothing is written to disk.

Legend: B batch, S image side in pixels, P positions of the feature map, C its channels.
"""

import math
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
    dequantize_pixels(model.graph)
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


def dequantize_pixels(graph: Any) -> None:
    """Makes one operation of the conversion and the scaling of pixels that a graph begins with.

    ONNX Runtime then brings them into its layout while they are bytes. Features stay the same in
    every bit, for only scalings by a power of two about a whole number are taken; other graphs
    stay as they are.

    Args:
        graph: an `onnx.GraphProto` of pixels uint8; changed in place.
    """
    from onnx import helper, numpy_helper

    steps = _first_steps(graph)
    if [step.op_type for step in steps] != ["Cast", "Mul", "Add"]:
        return
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scale, offset = (constants.get(step.input[1], np.empty(0)) for step in steps[1:])
    if scale.size != 1 or offset.size != 1:
        return
    zero = -offset.item() / scale.item()
    if math.frexp(scale.item())[0] != 0.5 or zero not in range(256):
        return
    graph.initializer.append(numpy_helper.from_array(scale.reshape(()), "pixel_scale"))
    graph.initializer.append(numpy_helper.from_array(np.uint8(zero), "pixel_zero"))
    inputs = [graph.input[0].name, "pixel_scale", "pixel_zero"]
    for step in steps:
        graph.node.remove(step)
    graph.node.insert(0, helper.make_node("DequantizeLinear", inputs, steps[-1].output))


def _first_steps(graph: Any) -> list[Any]:
    """Returns up to three nodes, each the only one that takes what the one before gives."""
    steps: list[Any] = []
    name = graph.input[0].name
    while len(steps) < 3:
        takers = [node for node in graph.node if name in node.input]
        if len(takers) != 1 or takers[0].input[0] != name:
            break
        steps += takers
        name = takers[0].output[0]
    return steps
