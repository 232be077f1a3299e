"""Fine-tuning the last layers of an encoder together with the decoder.

An encoder is cut at a layer: the head, before the cut, stays frozen and runs once a photo, its
output is cached; the tail, behind the cut, is trained. Batch normalisation keeps the statistics
it was trained with, for a batch of a few photos has none worth having.

Legend: B images, S their side in pixels, P positions of the feature map, C its channels.
"""

from typing import Any

import keras
import numpy as np

from model_lib.decoder import CaptionDecoder
from model_lib.errors import EncoderError


def split_encoder(encoder: keras.Model, layer: str) -> tuple[keras.Model, keras.Model]:
    """Cuts an encoder behind a layer; both parts share their layers and weights with it.

    Args:
        encoder: functional, images [B,S,S,3] -> features [B,P,C]; a backbone in it may be a model
            of its own, in a chain with other layers.
        layer: name of a layer that everything goes through, such as `block10_add`.

    Returns:
        The head, images [B,S,S,3] -> the layer's output, and the tail, that -> features [B,P,C].

    Raises:
        EncoderError: where there is no such layer, or the network goes around it.
    """
    image = keras.Input(encoder.input_shape[1:], name="image")
    try:
        head_output, tail_layers = _run_until(encoder, layer, image)
        middle = keras.Input(head_output.shape[1:], name="head_output")
        features = middle
        for part in tail_layers:
            features = part(features)
    except ValueError as error:
        raise EncoderError(
            f"{encoder.name} cannot be cut at {layer!r}: {error}. Name a layer that everything "
            "goes through, such as the last of a block"
        ) from error
    head = keras.Model(image, head_output, name="encoder_head")
    head.trainable = False
    tail = keras.Model(middle, features, name="encoder_tail")
    if not _is_same(encoder, head, tail):
        raise EncoderError(f"{encoder.name} cannot be cut at {layer!r}: it is no chain of layers")
    tail.trainable = False  # Keras passes on only what changes, and its layers are frozen
    tail.trainable = True
    return head, tail


def _is_same(encoder: keras.Model, head: keras.Model, tail: keras.Model) -> bool:
    """Tells whether head and tail, one after the other, give a picture the encoder's features."""
    shape = (1, *encoder.input_shape[1:])
    pixels = np.random.default_rng(0).integers(256, size=shape).astype(np.float32)
    found, wanted = (
        keras.ops.convert_to_numpy(features)
        for features in (
            tail(head(pixels, training=False), training=False),
            encoder(pixels, training=False),
        )
    )
    return found.shape == wanted.shape and bool(np.allclose(found, wanted, rtol=1e-3, atol=1e-4))


def _run_until(model: keras.Model, layer: str, x: Any) -> tuple[Any, list[Any]]:
    """Runs a model on `x` up to a layer; returns its output and what comes after it, in order."""
    parts = [part for part in model.layers if not isinstance(part, keras.layers.InputLayer)]
    if any(part.name == layer for part in parts):
        cut = model.get_layer(layer).output
        return keras.Model(model.input, cut)(x), [keras.Model(cut, model.output)]
    for index, part in enumerate(parts):
        if isinstance(part, keras.Model) and _has_layer(part, layer):
            for before in parts[:index]:
                x = before(x)
            x, after = _run_until(part, layer, x)
            return x, [*after, *parts[index + 1 :]]
    raise ValueError("it has no layer of this name")


def _has_layer(model: keras.Model, name: str) -> bool:
    return any(
        part.name == name or (isinstance(part, keras.Model) and _has_layer(part, name))
        for part in model.layers
    )


class TunedDecoder(keras.Model):
    """A decoder that reads the head's output: the tail, then the decoder, trained together.

    It stands where a `CaptionDecoder` stands in training by cross-entropy; self-critical training
    takes the two parts.
    """

    def __init__(self, tail: keras.Model, decoder: CaptionDecoder) -> None:
        """Keeps both parts, which are trained in place."""
        super().__init__(name="tuned_decoder")
        self.tail = tail
        self.decoder = decoder
        self.built = True

    def read_captions(self, inputs: tuple[Any, Any], training: bool | None = None) -> Any:
        """Does what `CaptionDecoder.read_captions` does, from the head's output."""
        middle, ids = inputs
        return self.decoder.read_captions((self.features(middle), ids), training=training)

    def predict_words(self, joined: Any, training: bool | None = None) -> Any:
        """Maps word states to logits."""
        return self.decoder.predict_words(joined, training)

    def features(self, middle: Any) -> Any:
        """Maps the head's output to the encoder's features [B,P,C]."""
        # training=False: batch normalisation normalises as in serving; gradients flow all the same.
        return self.tail(keras.ops.cast(middle, "float32"), training=False)
