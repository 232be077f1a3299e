"""The rewritten beginning of a graph, against the graph as it was converted."""

from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
import tf2onnx

from model_lib.onnx_encoder import dequantize_pixels

SIDE = 8


def converted(scale: Any, offset: Any, *, branch: bool = False) -> onnx.ModelProto:
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    scaled = keras.layers.Rescaling(scale, offset)(image)
    features = keras.layers.Conv2D(4, 3, padding="same")(scaled)
    if branch:
        features = keras.layers.Concatenate()([image, features])
    encoder = keras.Model(image, features)
    signature = [tf.TensorSpec([2, SIDE, SIDE, 3], tf.uint8, name="pixels")]
    encode = tf.function(lambda pixels: encoder(tf.cast(pixels, tf.float32)))
    return tf2onnx.convert.from_function(encode, input_signature=signature, opset=17)[0]


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def features(model: onnx.ModelProto) -> np.ndarray:
    pixels = np.arange(2 * SIDE * SIDE * 3).astype(np.uint8).reshape(2, SIDE, SIDE, 3)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"pixels": pixels})[0]


@pytest.mark.parametrize(("scale", "zero"), [(1 / 128, 127), (0.5, 1), (1 / 64, 255)])
def test_one_operation_scales_pixels_and_no_bit_changes(scale: float, zero: int) -> None:
    model = converted(scale, -zero * scale)
    before = operators(model)
    expected = features(model)
    dequantize_pixels(model.graph)
    onnx.checker.check_model(model)
    assert before[:3] == ["Cast", "Mul", "Add"]
    assert operators(model) == ["DequantizeLinear", *before[3:]]
    np.testing.assert_array_equal(features(model), expected)


@pytest.mark.parametrize(
    ("scale", "offset", "branch"),
    [
        (1 / 127.5, -1.0, False),
        (1 / 255, -1 / 255, False),
        (1 / 128, 1.0, False),
        (1 / 128, -2.0, False),
        (0.5, -0.25, False),
        ([1 / 128, 1 / 64, 1 / 128], [-1.0, -1.0, -1.0], False),
        (1 / 128, -127 / 128, True),
    ],
)
def test_other_beginnings_stay(scale: Any, offset: Any, branch: bool) -> None:
    model = converted(scale, offset, branch=branch)
    before = model.SerializeToString()
    dequantize_pixels(model.graph)
    assert model.SerializeToString() == before
