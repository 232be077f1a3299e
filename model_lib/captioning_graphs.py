"""The two compiled graphs of a captioner, with the weights frozen into constants.

Takes the networks; gives functions of tensors: uint8 pixels -> features, and features -> words
for given decode settings. The captioner runs them, an export writes them into one graph.

Legend: B images, S image side in pixels, P positions of the feature map, C its channels,
N captions an image, T most tokens drawn.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from model_lib import decoding, hypotheses, next_words
from model_lib.compiled import Rewrite, freeze
from model_lib.config import DecodeConfig
from model_lib.decoder import CaptionDecoder
from model_lib.fast_decoder import FastDecoder
from model_lib.next_words import SpecialIds
from model_lib.tokenizer import END_ID, PAD_ID, START_ID, UNKNOWN_ID

SPECIAL_IDS = SpecialIds(PAD_ID, UNKNOWN_ID, START_ID, END_ID)
Graph = Callable[..., Any]


def encoder_graph(encoder: keras.Model, size: int | None, rewrite: Rewrite | None = None) -> Graph:
    """Compiles an encoder.

    Args:
        encoder: images [B,S,S,3] (0..255) -> features [B,P,C].
        size: B; None for any number.
        rewrite: as for `compiled.freeze`.

    Returns:
        A function pixels uint8 [B,S,S,3] -> [features float32 [B,P,C]].
    """

    def encode(pixels: Any) -> Any:
        features = encoder(tf.cast(pixels, tf.float32), training=False)
        return tf.cast(features, tf.float32)

    signature = [tf.TensorSpec([size, *encoder.input_shape[1:]], tf.uint8)]
    return freeze(encode, signature, encoder.variables, rewrite)


def decoder_graph(
    decoder: CaptionDecoder, feature_shape: Sequence[int], decode: DecodeConfig, *, keep_all: bool
) -> Graph:
    """Compiles a decoder with the search for captions, which stops when all have ended.

    Args:
        decoder: built.
        feature_shape: P and C.
        decode: how captions are drawn.
        keep_all: as for `decoding.decode_rows`.

    Returns:
        A function of features float32 [B,P,C] and uniforms float32 [B,N,T] (for `sample`) that
        returns the fields of `hypotheses.Hypotheses` as a list.
    """
    width = hypotheses.per_image(decode)
    signature = [
        tf.TensorSpec([None, *feature_shape], tf.float32),
        tf.TensorSpec([None, decode.num_captions, decode.max_length_tokens], tf.float32),
    ]
    fast = FastDecoder(decoder)

    def draw(features: Any, uniforms: Any) -> Any:
        memory = fast.start(features)

        def step(tokens: Any, places: Any, state: Any, position: Any) -> tuple[Any, Any]:
            offsets = next_words.offsets(fast.num_logits, position, decode, SPECIAL_IDS)
            return fast.step(tokens, places, state, memory, width, offsets)

        return decoding.decode_rows(
            step, memory.initial_state, decode, SPECIAL_IDS, uniforms, keep_all=keep_all
        )

    return freeze(draw, signature)
