"""The decoder's one-step form for captioning: the same network with less work.

Takes a trained `CaptionDecoder`; gives `start` and `step` for `decoding.decode_rows`. Against
`CaptionDecoder.step`: only hypotheses that still grow are computed, the GRU's input is looked up
in a table over the vocabulary, keys and values are one product, laid out once for the
products of every step. Its weights are constants in the graph that calls it.

Legend: B images, P positions, C channels, W hypotheses an image, N rows (the hypotheses that
still grow), D width, H heads, V vocabulary size.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from model_lib.decoder import CaptionDecoder
from model_lib.next_words import GROUP_WORDS

Array = np.ndarray[Any, np.dtype[np.float32]]
# A larger table would cost more memory than it saves time beside a last layer of that size.
_MAX_TABLE_BYTES = 64 * 2**20
# For kernels with a multiple of so many columns oneDNN has two layouts, for products of fewer and
# of more rows than about 64; the first is kept, and each product that wants the other one copies
# the kernel. Half as many columns more, and one layout does for all. TensorFlow's own products
# gain as well: rows so far apart share few places of a CPU's cache.
_UNSTEADY_COLUMNS = 32


class FastMemory(NamedTuple):
    """What is kept of the images while words are drawn.

    Attributes:
        initial_state: GRU state before the first word, float32 [B,D].
        keys: float32 [B,H,D/H,P], scaled by the attention's factor.
        values: float32 [B,H,P,D/H].
    """

    initial_state: Any
    keys: Any
    values: Any


class FastDecoder:
    """A decoder's weights, arranged for drawing words."""

    def __init__(self, decoder: CaptionDecoder) -> None:
        """Copies the weights; later changes of the decoder do not reach it.

        Args:
            decoder: a built decoder.
        """
        self.config = decoder.config
        self._width = decoder.config.width
        multihead = decoder.config.attention == "multihead"
        self._heads = decoder.config.num_heads if multihead else 1
        self._project = _dense(decoder.project)
        self._start = None if decoder.start_state is None else _dense(decoder.start_state)
        self._norm = (_array(decoder.norm.gamma), _array(decoder.norm.beta))
        self._epsilon = decoder.norm.epsilon
        self._set_gru(decoder)
        if multihead:
            self._set_attention(decoder.attention)
        self._set_logits(decoder)

    @property
    def num_logits(self) -> int:
        """V': V rounded up to an odd number of `next_words.GROUP_WORDS`."""
        return len(self._logits[1])

    def start(self, features: Any) -> FastMemory:
        """Does the work that is needed once an image.

        Args:
            features: of the encoder, float32 [B,P,C].

        Returns:
            The memory that `step` reads.
        """
        positions, channels = features.shape[1:]
        flat = tf.nn.relu(_apply(tf.reshape(features, [-1, channels]), self._project))
        projected = tf.reshape(flat, [-1, positions, self._width])
        mean = tf.reduce_mean(projected, axis=1)
        state = tf.zeros_like(mean) if self._start is None else tf.tanh(_apply(mean, self._start))
        if self.config.attention == "dot":
            values = projected[:, tf.newaxis]
            return FastMemory(state, tf.transpose(values, [0, 1, 3, 2]), values)
        shape = [-1, positions, self._heads, self._width // self._heads]
        keys, values = (tf.reshape(_apply(flat, w), shape) for w in (self._keys, self._values))
        return FastMemory(
            state, tf.transpose(keys, [0, 2, 3, 1]), tf.transpose(values, [0, 2, 1, 3])
        )

    def step(
        self,
        tokens: Any,
        places: Any,
        state: Any,
        memory: FastMemory,
        hypotheses: int,
        offsets: Any = 0.0,
    ) -> tuple[Any, Any]:
        """Draws one word further.

        Args:
            tokens: last words int32 [N].
            places: image * W + hypothesis of each row, int32 [N], ascending.
            state: GRU state float32 [N,D].
            memory: of `start` for the B images.
            hypotheses: W.
            offsets: to be added to the logits, float32 [V'].

        Returns:
            Logits float32 [N,V'] of the next words and the new GRU state [N,D]; words that do
            not exist have -inf.
        """
        state = self._next_state(tokens, state)
        joined = self._attend(state, places, memory, hypotheses) + state
        mean, variance = tf.nn.moments(joined, axes=[-1], keepdims=True)
        scale, offset = self._norm
        joined = (joined - mean) * tf.math.rsqrt(variance + self._epsilon) * scale + offset
        kernel, bias = self._logits
        # Added to the bias they cost V' additions, to the logits N times as many.
        return _apply(joined, (kernel, bias + offsets)), state

    def _next_state(self, tokens: Any, state: Any) -> Any:
        """The GRU (Cho et al. 2014), its reset gate after the product, as Keras has it."""
        width = self._width
        of_word = tf.gather(tf.constant(self._table), tokens)
        if self._input is not None:
            of_word = _apply(of_word, self._input)
        of_state = _apply(state, self._recurrent)
        gates = tf.sigmoid(of_word[:, : 2 * width] + of_state[:, : 2 * width])
        update, reset = gates[:, :width], gates[:, width:]
        rest = slice(2 * width, 3 * width)
        candidate = tf.tanh(of_word[:, rest] + reset * of_state[:, rest])
        return update * state + (1 - update) * candidate

    def _attend(self, state: Any, places: Any, memory: FastMemory, hypotheses: int) -> Any:
        """Attends from states [N,D]; the rows of an image share its keys and values."""
        size = self._width // self._heads
        multihead = self.config.attention == "multihead"
        queries = _apply(state, self._query)[:, : self._width] if multihead else state
        all_places = tf.shape(memory.initial_state)[0] * hypotheses
        spread = tf.scatter_nd(places[:, tf.newaxis], queries, [all_places, self._width])
        # [B,H,W,D/H]; places without a row are zero.
        spread = tf.transpose(tf.reshape(spread, [-1, hypotheses, self._heads, size]), [0, 2, 1, 3])
        context = tf.matmul(tf.nn.softmax(tf.matmul(spread, memory.keys)), memory.values)
        context = tf.reshape(tf.transpose(context, [0, 2, 1, 3]), [-1, self._width])
        context = tf.gather(context, places)
        return _apply(context, self._output)[:, : self._width] if multihead else context

    def _set_gru(self, decoder: CaptionDecoder) -> None:
        cell, embedding = decoder.gru.cell, _array(decoder.embedding.embeddings)
        bias, recurrent_bias = _array(cell.bias)
        self._recurrent = _with_one_layout(_array(cell.recurrent_kernel), recurrent_bias)
        kernel = (_array(cell.kernel), bias)
        fits = embedding.shape[0] * kernel[0].shape[1] * 4 <= _MAX_TABLE_BYTES
        self._input = None if fits else _with_one_layout(*kernel)
        self._table = embedding @ kernel[0] + bias if fits else embedding

    def _set_logits(self, decoder: CaptionDecoder) -> None:
        if decoder.logits is None:
            kernel, bias = _array(decoder.embedding.embeddings).T, _array(decoder.logits_bias)
        else:
            kernel, bias = _dense(decoder.logits)
        # An odd number of groups: no multiple of `_UNSTEADY_COLUMNS` either.
        missing = -(len(bias) + GROUP_WORDS) % (2 * GROUP_WORDS)
        padded_bias = np.pad(bias, (0, missing), constant_values=-np.inf)
        self._logits = (np.pad(kernel, ((0, 0), (0, missing))), padded_bias)

    def _set_attention(self, attention: Any) -> None:
        width = self._width
        self._query = _with_one_layout(*_heads_dense(attention.query_dense, width))
        self._output = _with_one_layout(*_heads_dense(attention.output_dense, width))
        self._values = _heads_dense(attention.value_dense, width)
        scale = np.float32((width // self._heads) ** -0.5)
        kernel, bias = _heads_dense(attention.key_dense, width)
        self._keys = (kernel * scale, bias * scale)


def _array(variable: Any) -> Array:
    return np.asarray(tf.convert_to_tensor(variable), np.float32)


def _dense(layer: Any) -> tuple[Array, Array]:
    return _array(layer.kernel), _array(layer.bias)


def _heads_dense(layer: Any, width: int) -> tuple[Array, Array]:
    """Kernel [D,D] and bias [D] of a layer between words and heads."""
    return _array(layer.kernel).reshape(width, width), _array(layer.bias).reshape(width)


def _with_one_layout(kernel: Array, bias: Array) -> tuple[Array, Array]:
    """Adds columns of zeros, behind the others, to a kernel whose layout would change."""
    spare = 0 if kernel.shape[1] % _UNSTEADY_COLUMNS else _UNSTEADY_COLUMNS // 2
    return np.pad(kernel, ((0, 0), (0, spare))), np.pad(bias, (0, spare))


def _apply(inputs: Any, weights: Any) -> Any:
    kernel, bias = weights
    return tf.nn.bias_add(tf.matmul(inputs, tf.constant(kernel)), tf.convert_to_tensor(bias))
