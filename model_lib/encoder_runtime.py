"""What runs the encoder: TensorFlow in a chosen precision, or ONNX Runtime.

Takes a Keras encoder; gives functions of uint8 pixels, which the captioner calls. Importing this
module loads no network library, so that a command line can be checked at once.

Legend: B images of a call, S image side in pixels, P positions of the feature map, C its channels.
"""

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from model_lib.config import EncoderRuntime, Precision
from model_lib.errors import ConfigError

if TYPE_CHECKING:
    import keras

    from model_lib.captioning_graphs import Graph


# Pixels uint8 [B,S,S,3] -> features float32 [B,P,C], an array or tensor on the runtime's own
# device. It may be called from several threads.
Encode = Callable[["np.ndarray[Any, Any]"], Any]


def check_encoder_runtime(runtime: EncoderRuntime, precision: Precision) -> None:
    """Checks that a runtime is here and computes in a precision.

    Raises:
        ConfigError: naming what is missing, or what does not go together.
    """
    if runtime not in get_args(EncoderRuntime):
        raise ConfigError(
            f"encoder_runtime is {runtime!r}; expected one of {', '.join(get_args(EncoderRuntime))}"
        )
    if runtime == "tensorflow":
        return
    if precision != "float32":
        raise ConfigError(
            f"encoder_runtime {runtime} computes in float32 only, and precision is {precision}; "
            "leave one of them out"
        )
    missing = [name for name in ("onnxruntime", "tf2onnx") if not importlib.util.find_spec(name)]
    if missing:
        raise ConfigError(
            f"encoder_runtime is onnxruntime, and {' and '.join(missing)} cannot be imported; "
            "install the extra: pip install 'batch-image-captioning[onnx]'"
        )


def make_encoder(
    encoder: "keras.Model",
    runtime: EncoderRuntime,
    precision: Precision,
    threads: int,
    *,
    on_gpu: bool = False,
) -> Callable[[int], Encode]:
    """Prepares an encoder to be run.

    Args:
        encoder: images [B,S,S,3] (0..255) -> features [B,P,C].
        runtime: what runs it.
        precision: of its arithmetic.
        threads: of one call, for `onnxruntime`; TensorFlow has its own setting.
        on_gpu: whether TensorFlow computes on a GPU; CPUs have another way to `bfloat16`.

    Returns:
        A function that makes, for the most images of a call, the encoder for that many or fewer.

    Raises:
        ConfigError: as `check_encoder_runtime`, and for an unknown precision.
    """
    from model_lib.captioning_graphs import encoder_graph
    from model_lib.onednn_bfloat16 import has_bfloat16, in_bfloat16
    from model_lib.precision import in_precision

    check_encoder_runtime(runtime, precision)
    if runtime == "onnxruntime":
        from model_lib.onnx_encoder import onnx_encoder

        return lambda size: _filled_up(onnx_encoder(encoder, size, threads), size)
    if precision == "bfloat16" and not on_gpu and has_bfloat16():
        return lambda size: _filled_up(encoder_graph(encoder, size, in_bfloat16), size)
    computed = in_precision(encoder, precision)
    return lambda size: _filled_up(encoder_graph(computed, size), size)


def _filled_up(graph: "Graph", size: int) -> Encode:
    """Adds black images to calls of fewer than a graph was compiled for."""

    def encode(pixels: "np.ndarray[Any, Any]") -> Any:
        missing = size - len(pixels)
        if not missing:
            return graph(pixels)[0]
        filled = np.pad(pixels, [(0, missing), (0, 0), (0, 0), (0, 0)])
        return graph(filled)[0][: len(pixels)]

    return encode
