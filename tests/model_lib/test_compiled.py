from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from model_lib.compiled import freeze

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
