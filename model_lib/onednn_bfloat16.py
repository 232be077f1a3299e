"""Graphs in bfloat16 for CPUs that compute in it (AMX, AVX-512), by TensorFlow's own rewriting.

Takes a frozen graph in float32; gives one whose convolutions and products, and what lies between
them, are in bfloat16. Batch normalisation is folded before, in float32, so that none is left
between; that is what a Keras policy (`model_lib.precision`) cannot do.
"""

import functools
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2
from tensorflow.python.grappler import tf_optimizer

# The rewriter does nothing without oneDNN. With it, TensorFlow 2.21 rewrites on CPUs without these
# instructions too; their kernels then fall back on others, four times as slow as float32.
_CPU_INFO = Path("/proc/cpuinfo")
_INSTRUCTIONS = {"amx_bf16", "avx512_bf16"}
_PASSES = ("constfold", "auto_mixed_precision_onednn_bfloat16")


def in_bfloat16(graph_def: graph_pb2.GraphDef, kept: Iterable[str]) -> graph_pb2.GraphDef:
    """Rewrites a graph to compute in bfloat16 where that is faster.

    Args:
        graph_def: weights are constants.
        kept: names of the tensors that are given and asked for; they keep names and types.

    Returns:
        The rewritten graph; of use where `has_bfloat16` is true.
    """
    meta_graph = meta_graph_pb2.MetaGraphDef(graph_def=graph_def)
    meta_graph.collection_def["train_op"].node_list.value.extend(kept)
    config = config_pb2.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.min_graph_nodes = -1
    rewriting.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    rewriting.optimizers.extend(_PASSES)
    return tf_optimizer.OptimizeGraph(config, meta_graph)


@functools.cache
def has_bfloat16() -> bool:
    """Whether the CPU, on Linux, has the instructions and TensorFlow rewrites a convolution."""
    if not _CPU_INFO.exists() or not _INSTRUCTIONS & set(_CPU_INFO.read_text().split()):
        return False
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [1, 4, 4, 16], "images")
        tf.identity(tf.nn.relu(tf.nn.conv2d(images, tf.ones([1, 1, 16, 16]), 1, "SAME")), "result")
    rewritten = in_bfloat16(graph.as_graph_def(), ["images:0", "result:0"])
    bfloat16 = tf.bfloat16.as_datatype_enum
    return any("T" in node.attr and node.attr["T"].type == bfloat16 for node in rewritten.node)
