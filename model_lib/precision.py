"""An encoder in 16-bit arithmetic, for devices that are faster in it.

Weights stay as they are; Keras's mixed policies (Micikevicius et al. 2018) cast them where they
are used, which a frozen graph does once. What needs 32 bits by itself, such as batch
normalisation, keeps them. CPUs with bfloat16 have a faster way: `onednn_bfloat16.py`.
"""

from typing import Any, get_args

import keras

from model_lib.config import Precision
from model_lib.errors import ConfigError


def in_precision(model: keras.Model, precision: Precision) -> keras.Model:
    """Returns a model that computes in another precision.

    Args:
        model: functional, of built-in layers; stays as it is.
        precision: `float32` returns the model itself. Of the others `bfloat16` has the range of
            float32, `float16` more digits.

    Returns:
        A copy with the same weights. Its outputs are of that precision.

    Raises:
        ConfigError: for another precision.
    """
    if precision not in get_args(Precision):
        raise ConfigError(
            f"precision is {precision!r}; expected one of {', '.join(get_args(Precision))}"
        )
    if precision == "float32":
        return model
    policy = f"mixed_{precision}"

    def copy(layer: Any) -> Any:
        config = {**layer.get_config(), "dtype": policy}
        return layer.__class__.from_config(config)

    copied = keras.models.clone_model(model, clone_function=copy, recursive=True)
    copied.set_weights(model.get_weights())
    return copied
