"""Freezing a TensorFlow function: weights become constants of one graph.

Constants let TensorFlow fold batch normalisation into convolutions and choose faster kernels;
on CPUs this runs an encoder faster than `keras.Model.predict`. TensorFlow folds factors into
the weights of ordinary convolutions only; those of depthwise ones are folded here.
"""

import collections
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

# A graph and the names of the tensors that are given and asked for -> a graph that has these.
Rewrite = Callable[[graph_pb2.GraphDef, Sequence[str]], graph_pb2.GraphDef]
_DEPTHWISE = "DepthwiseConv2dNative"


def freeze(
    function: Callable[..., Any],
    signature: list[tf.TensorSpec],
    variables: Iterable[keras.Variable] = (),
    rewrite: Rewrite | None = None,
) -> Callable[..., Any]:
    """Compiles a function with its weights as they are now.

    Args:
        function: takes tensors, returns a nest of tensors; may read models' weights.
        signature: shape and dtype of each argument.
        variables: of Keras models that the function calls. These become constants while it is
            traced; the weights that are not named here, afterwards, which takes longer.
        rewrite: a change of the frozen graph before it is compiled.

    Returns:
        A function of arrays or tensors of exactly these shapes, returning the nest's tensors
        as a flat list. Later changes of the weights do not reach it.
    """
    weights = [(variable, np.asarray(variable.value)) for variable in variables]

    def with_constants(*inputs: Any) -> Any:
        with keras.StatelessScope(state_mapping=weights):
            return tf.nest.flatten(function(*inputs))

    traced = tf.function(with_constants, input_signature=signature, autograph=False)
    compiled = traced.get_concrete_function()
    if compiled.captured_inputs:
        compiled = convert_variables_to_constants_v2(compiled, lower_control_flow=False)
    compiled = _rewritten(compiled, signature, rewrite)

    def run(*inputs: Any) -> Any:
        # A frozen graph does not check shapes by itself.
        checked = map(tf.ensure_shape, inputs, [spec.shape for spec in signature])
        return tf.nest.flatten(compiled(*checked))

    return run


def fold_depthwise_factors(graph: tf.Graph) -> tuple[graph_pb2.GraphDef, int]:
    """Moves factors behind depthwise convolutions into their weights.

    factor * conv(x, weights) becomes conv(x, factor * weights), the same function where there is
    one factor for each channel. With both constant TensorFlow multiplies them once, and then
    joins the convolution with the addition and the activation that follow.

    Args:
        graph: of a function whose weights are constants; stays as it is.

    Returns:
        The changed graph, in which all names stand for the same values as before, and how many
        factors were moved.
    """
    graph_def = graph.as_graph_def()
    nodes = {node.name: node for node in graph_def.node}
    uses = collections.Counter(name for node in graph_def.node for name in node.input)
    moved = 0
    for operation in graph.get_operations():
        if operation.type != "Mul":
            continue
        for conv, factor in (operation.inputs, operation.inputs[::-1]):
            if uses[conv.op.name] == 1 and _is_factor_of_channels(conv, factor):
                _move_factor(graph_def, nodes[operation.name], conv.op, factor)
                moved += 1
                break
    return graph_def, moved


def _rewritten(compiled: Any, signature: list[tf.TensorSpec], rewrite: Rewrite | None) -> Any:
    """Folds the factors of depthwise convolutions, and then rewrites as the caller wants."""
    depthwise = any(op.type == _DEPTHWISE for op in compiled.graph.get_operations())
    if not depthwise and rewrite is None:
        return compiled  # and no copy of its constants is made
    graph_def, moved = fold_depthwise_factors(compiled.graph)
    if not moved and rewrite is None:
        return compiled
    names = [tensor.name for tensor in compiled.inputs]
    results = [tensor.name for tensor in compiled.outputs]
    final = graph_def if rewrite is None else rewrite(graph_def, names + results)

    def imported(*inputs: Any) -> Any:
        input_map = dict(zip(names, inputs, strict=True))
        return tf.graph_util.import_graph_def(final, input_map, results, name="")

    return tf.compat.v1.wrap_function(imported, signature)


def _is_factor_of_channels(conv: Any, factor: Any) -> bool:
    """Whether `factor` has one value for each channel of a depthwise convolution's output."""
    if conv.op.type != _DEPTHWISE or conv.op.get_attr("data_format") != b"NHWC":
        return False
    channels = conv.shape[-1]
    shape: list[int | None] = factor.shape.as_list()
    return channels is not None and shape == [1] * (len(shape) - 1) + [channels]


def _move_factor(graph_def: graph_pb2.GraphDef, product: Any, conv: Any, factor: Any) -> None:
    """Turns the node `product` into the convolution `conv` with its weights times `factor`."""
    name, dtype = product.name, conv.node_def.attr["T"].type
    # Weights are [height, width, channels in, multiplier]; the last two make the output's.
    multiplier = conv.inputs[1].shape[-1]
    shape = graph_def.node.add(name=f"{name}/shape", op="Const")
    shape.attr["dtype"].type = tf.int32.as_datatype_enum
    shape.attr["value"].tensor.CopyFrom(tf.make_tensor_proto([-1, multiplier], tf.int32))
    column = graph_def.node.add(name=f"{name}/column", op="Reshape")
    column.input.extend([factor.name, shape.name])
    column.attr["T"].type = dtype
    column.attr["Tshape"].type = tf.int32.as_datatype_enum
    weights = graph_def.node.add(name=f"{name}/weights", op="Mul")
    weights.input.extend([conv.inputs[1].name, column.name])
    weights.attr["T"].type = dtype
    product.CopyFrom(conv.node_def)
    product.name = name
    product.input[1] = weights.name
