"""What runs the encoder: TensorFlow in a chosen precision, or ONNX Runtime.

Takes a Keras encoder; gives functions of uint8 pixels, which the captioner calls. Importing this
module loads no network library, so that a command line can be checked at once.

Legend: B images of a call, S image side in pixels, P positions of the feature map, C its channels.
"""

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, get_args

import numpy as np

from model_lib.config import EncoderRuntime, Precision
from model_lib.errors import ConfigError

if TYPE_CHECKING:
    import keras

    from model_lib.captioning_graphs import Graph


class Encode(Protocol):
    """An encoder, ready to be called from several threads."""

    def __call__(
        self, pixels: "np.ndarray[Any, Any]", out: "np.ndarray[Any, Any] | None" = None
    ) -> Any:
        """Encodes images.

        Args:
            pixels: uint8 [B,S,S,3], without gaps.
            out: float32 [B,P,C] to write to, without gaps.

        Returns:
            Features float32 [B,P,C]: `out` where it is given, else an array or tensor of the
            runtime's own, on its own device.
        """


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
    encoder: "keras.Model", runtime: EncoderRuntime, precision: Precision, threads: int
) -> Callable[[int], Encode]:
    """Prepares an encoder to be run.

    Args:
        encoder: images [B,S,S,3] (0..255) -> features [B,P,C].
        runtime: what runs it.
        precision: of its arithmetic.
        threads: of one call, for `onnxruntime`; TensorFlow has its own setting.

    Returns:
        A function that makes, for the most images of a call, the encoder for that many or fewer.

    Raises:
        ConfigError: as `check_encoder_runtime`, and for an unknown precision.
    """
    from model_lib.captioning_graphs import encoder_graph
    from model_lib.precision import in_precision

    check_encoder_runtime(runtime, precision)
    if runtime == "onnxruntime":
        from model_lib.onnx_encoder import onnx_encoder

        return lambda size: _filled_up(onnx_encoder(encoder, size, threads), size)
    computed = in_precision(encoder, precision)
    return lambda size: _filled_up(_writing(encoder_graph(computed, size)), size)


def _writing(graph: "Graph") -> Encode:
    def encode(pixels: "np.ndarray[Any, Any]", out: "np.ndarray[Any, Any] | None" = None) -> Any:
        [features] = graph(pixels)
        return features if out is None else _copied(features, out)

    return encode


def _filled_up(encode: Encode, size: int) -> Encode:
    """Adds black images to calls of fewer than an encoder was compiled for."""

    def encode_up_to(
        pixels: "np.ndarray[Any, Any]", out: "np.ndarray[Any, Any] | None" = None
    ) -> Any:
        missing = size - len(pixels)
        if not missing:
            return encode(pixels, out)
        filled = np.pad(pixels, [(0, missing), (0, 0), (0, 0), (0, 0)])
        features = encode(filled)[: len(pixels)]
        return features if out is None else _copied(features, out)

    return encode_up_to


def _copied(features: Any, out: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    out[...] = features
    return out
