from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from model_lib.compiled import fold_depthwise_factors, freeze

INPUTS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
SIGNATURE = [tf.TensorSpec([3, 4], tf.float32)]


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(5, activation="tanh"), keras.layers.BatchNormalization()]
    return keras.Sequential([keras.Input((4,)), *layers])


def test_a_frozen_model_gives_the_same_and_keeps_its_weights(model: keras.Model) -> None:
    expected = model(INPUTS).numpy()
    frozen = freeze(lambda x: model(x, training=False), SIGNATURE)
    np.testing.assert_allclose(frozen(INPUTS)[0], expected, rtol=1e-6, atol=1e-6)
    model.set_weights([weight + 1.0 for weight in model.get_weights()])
    assert np.abs(model(INPUTS).numpy() - expected).max() > 0.1
    np.testing.assert_allclose(frozen(INPUTS)[0], expected, rtol=1e-6, atol=1e-6)


def test_results_are_flat_and_in_order_and_unused_inputs_stay() -> None:
    def function(first: Any, unused: Any, last: Any) -> Any:
        return {"b": (first + 1.0, last), "a": first - last}

    specs = [tf.TensorSpec([2], tf.float32), *[tf.TensorSpec([2], tf.float32)] * 2]
    results = freeze(function, specs)([1.0, 2.0], [9.0, 9.0], [0.5, 0.5])
    assert [result.numpy().tolist() for result in results] == [[0.5, 1.5], [2.0, 3.0], [0.5, 0.5]]


def test_weights_inside_a_loop_become_constants_too() -> None:
    weight = tf.Variable([2.0, 3.0])

    def powers(x: Any) -> Any:
        return tf.while_loop(lambda _: True, lambda x: (x * weight,), (x,), maximum_iterations=3)

    frozen = freeze(powers, [tf.TensorSpec([2], tf.float32)])
    weight.assign([0.0, 0.0])
    assert frozen(np.ones(2, np.float32))[0].numpy().tolist() == [8.0, 27.0]


@pytest.mark.parametrize("wrong", [INPUTS[:2], INPUTS.astype(np.int32)])
def test_other_shapes_and_types_are_refused(model: keras.Model, wrong: Any) -> None:
    frozen = freeze(model, SIGNATURE)
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError, ValueError)):
        frozen(wrong)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_factors_behind_depthwise_convolutions_move_into_their_weights(multiplier):
    inputs = keras.Input([6, 6, 3])
    outputs = keras.layers.DepthwiseConv2D(3, depth_multiplier=multiplier, use_bias=False)(inputs)
    normed = keras.layers.BatchNormalization()(outputs)
    model = keras.Model(inputs, keras.layers.ReLU(6.0)(normed))
    generator = np.random.default_rng(3)
    for variable in model.variables:
        variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    signature = [tf.TensorSpec([2, 6, 6, 3], tf.float32)]
    images = generator.normal(size=[2, 6, 6, 3]).astype(np.float32)

    def encode(batch):
        return model(batch, training=False)

    plain = tf.function(encode, input_signature=signature, autograph=False)
    frozen = convert_variables_to_constants_v2(plain.get_concrete_function())
    changed, moved = fold_depthwise_factors(frozen.graph)
    assert moved == 1
    assert len(changed.node) > len(frozen.graph.get_operations())
    [found] = freeze(encode, signature, model.variables)(images)
    np.testing.assert_allclose(found, encode(images), rtol=1e-5, atol=1e-5)


def test_a_factor_that_others_use_stays():
    weights = tf.ones([1, 1, 2, 1])

    def twice(batch):
        convolved = tf.nn.depthwise_conv2d(batch, weights, [1, 1, 1, 1], "SAME")
        return convolved * tf.constant([2.0, 3.0]), convolved

    signature = [tf.TensorSpec([1, 2, 2, 2], tf.float32)]
    run = freeze(twice, signature)
    images = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    scaled, same = run(images)
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(scaled, images * [2.0, 3.0])


def test_of_two_convolutions_multiplied_one_takes_the_other_as_its_factor():
    weights = tf.constant([[[[2.0], [3.0]]]])

    def product(first, second):
        return tf.multiply(
            *(tf.nn.depthwise_conv2d(x, weights, [1] * 4, "SAME") for x in (first, second))
        )

    spec = tf.TensorSpec([1, 1, 1, 2], tf.float32)
    first, second = np.ones([1, 1, 1, 2], np.float32), np.full([1, 1, 1, 2], 5, np.float32)
    [found] = freeze(product, [spec, spec])(first, second)
    np.testing.assert_array_equal(found, [[[[20.0, 45.0]]]])
