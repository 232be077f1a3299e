"""Greedy, beam and sampled decoding over a step function; knows no network.

Takes `step(tokens, state) -> (logits, state)` and a start state; returns token ids with their
log-probabilities. Everything is TensorFlow inside one `tf.while_loop`, so it compiles into the
caller's graph and stops as soon as every caption has ended.

Legend: B images, W hypotheses an image (1, a beam's width, or the number of samples),
V vocabulary size, T most tokens drawn. State is any nest of tensors [B,W,...].

Log-probabilities are natural logarithms under the model's distribution over the words that may
follow: padding, unknown and `<start>` never may, `<end>` only after `min_length_tokens` words.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from model_lib.config import DecodeConfig

StepFn = Callable[[Any, Any], tuple[Any, Any]]


class SpecialIds(NamedTuple):
    """Ids of the words with a meaning of their own."""

    pad: int = 0
    unknown: int = 1
    start: int = 2
    end: int = 3


class Hypotheses(NamedTuple):
    """Decoded captions, best first.

    Attributes:
        token_ids: int32 [B,W,T], padding after `<end>`.
        log_probs: float32 [B,W]; -inf marks a place that no caption filled (a beam wider
            than the number of captions there are).
        lengths: int32 [B,W], tokens drawn, `<end>` included.
        finished: bool [B,W], whether `<end>` was drawn.
    """

    token_ids: Any
    log_probs: Any
    lengths: Any
    finished: Any


def decode(
    step: StepFn,
    initial_state: Any,
    config: DecodeConfig,
    ids: SpecialIds | None = None,
    uniforms: Any = None,
) -> Hypotheses:
    """Draws captions as the settings say.

    Args:
        step: takes the last tokens int32 [B,W] and state, returns logits float [B,W,V] and state.
        initial_state: nest of tensors [B,...], before the first word.
        config: method, lengths and the method's own settings.
        ids: the special words.
        uniforms: random numbers float32 [B,W,T] in [0,1), for `sample` only; the caller makes
            them for each image, so that captions do not depend on the batch.

    Returns:
        `config.num_captions` hypotheses an image.
    """
    ids = ids or SpecialIds()
    if config.method == "beam":
        found = beam_search(step, initial_state, config, ids)
        return Hypotheses(*(part[:, : config.num_captions] for part in found))
    if config.method == "greedy":
        return _draw(step, initial_state, config, ids, lambda logits, _: _argmax(logits))
    drawn = _draw(
        step,
        initial_state,
        config,
        ids,
        lambda logits, position: _sample(logits, uniforms[:, :, position], config),
    )
    return _reorder(drawn, drawn.log_probs / tf.cast(drawn.lengths, tf.float32))


def beam_search(
    step: StepFn, initial_state: Any, config: DecodeConfig, ids: SpecialIds
) -> Hypotheses:
    """Keeps the `beam_width` best hypotheses at each step, finished ones among them.

    Hypotheses are ranked by log-probability / length ** length_penalty. A finished one is
    frozen: it keeps its place, score and length and gives way only to a better one. With a
    beam as wide as the number of possible captions this is exhaustive search.

    Args:
        step: as for `decode`.
        initial_state: nest of tensors [B,...], before the first word.
        config: beam width, length penalty and lengths.
        ids: the special words.

    Returns:
        `config.beam_width` hypotheses an image, best first.
    """
    width = config.beam_width
    state, start = _repeat_state(initial_state, width, config, ids)
    first_only = tf.where(tf.range(width)[tf.newaxis] == 0, 0.0, -float("inf"))
    start = start._replace(log_probs=start.log_probs + first_only)

    def search_step(
        position: Any, tokens: Any, state: Any, found: Hypotheses
    ) -> tuple[Any, Any, Any, Hypotheses]:
        logits, state = step(tokens, state)
        word_log_probs = _log_probs(logits, position, config, ids)
        vocabulary_size = tf.shape(logits)[-1]
        # A frozen hypothesis has one continuation, padding, that costs nothing.
        stay = tf.where(tf.range(vocabulary_size) == ids.pad, 0.0, -float("inf"))
        word_log_probs = tf.where(found.finished[..., tf.newaxis], stay, word_log_probs)
        totals = found.log_probs[..., tf.newaxis] + word_log_probs
        lengths = found.lengths + tf.cast(~found.finished, tf.int32)
        ranks = totals / tf.cast(lengths[..., tf.newaxis], tf.float32) ** config.length_penalty
        flat_shape = [tf.shape(tokens)[0], -1]
        _, best = tf.math.top_k(tf.reshape(ranks, flat_shape), width)
        parents, words = best // vocabulary_size, best % vocabulary_size
        kept = _take(found._replace(lengths=lengths), parents)
        found = Hypotheses(
            _write(kept.token_ids, position, words),
            tf.gather(tf.reshape(totals, flat_shape), best, batch_dims=1),
            kept.lengths,
            kept.finished | (words == ids.end),
        )
        return position + 1, words, _take(state, parents), found

    return _loop(search_step, state, start, config, ids)


def _draw(
    step: StepFn,
    initial_state: Any,
    config: DecodeConfig,
    ids: SpecialIds,
    choose: Callable[[Any, Any], Any],
) -> Hypotheses:
    """Extends `num_captions` captions an image by one chosen word at a time."""
    state, start = _repeat_state(initial_state, config.num_captions, config, ids)

    def draw_step(
        position: Any, tokens: Any, state: Any, found: Hypotheses
    ) -> tuple[Any, Any, Any, Hypotheses]:
        logits, state = step(tokens, state)
        log_probs = _log_probs(logits, position, config, ids)
        words = tf.where(found.finished, ids.pad, choose(log_probs, position))
        drawn = tf.gather(log_probs, words, batch_dims=2)
        found = Hypotheses(
            _write(found.token_ids, position, words),
            found.log_probs + tf.where(found.finished, 0.0, drawn),
            found.lengths + tf.cast(~found.finished, tf.int32),
            found.finished | (words == ids.end),
        )
        return position + 1, words, state, found

    return _loop(draw_step, state, start, config, ids)


def _loop(
    body: Callable[..., Any], state: Any, start: Hypotheses, config: DecodeConfig, ids: SpecialIds
) -> Hypotheses:
    """Runs `body` until T tokens are drawn or nothing is left to extend."""

    def some_live(position: Any, tokens: Any, state: Any, found: Hypotheses) -> Any:
        del position, tokens, state
        return tf.reduce_any(~found.finished & (found.log_probs > -float("inf")))

    tokens = tf.fill(tf.shape(start.lengths), ids.start)
    final = tf.while_loop(
        some_live,
        body,
        (tf.constant(0), tokens, state, start),
        maximum_iterations=config.max_length_tokens,
    )
    found: Hypotheses = final[-1]
    return found


def _repeat_state(
    initial_state: Any, width: int, config: DecodeConfig, ids: SpecialIds
) -> tuple[Any, Hypotheses]:
    """Returns the state [B,...] repeated to [B,W,...], and W empty hypotheses an image."""
    state = tf.nest.map_structure(lambda x: tf.repeat(x[:, tf.newaxis], width, 1), initial_state)
    batch = tf.shape(tf.nest.flatten(initial_state)[0])[0]
    empty = Hypotheses(
        tf.fill([batch, width, config.max_length_tokens], ids.pad),
        tf.zeros([batch, width]),
        tf.zeros([batch, width], tf.int32),
        tf.zeros([batch, width], tf.bool),
    )
    return state, empty


def _log_probs(logits: Any, position: Any, config: DecodeConfig, ids: SpecialIds) -> Any:
    """Returns log-probabilities [B,W,V] over the words that may follow, -inf elsewhere."""
    words = tf.range(tf.shape(logits)[-1])
    banned = (words == ids.pad) | (words == ids.unknown) | (words == ids.start)
    banned |= (words == ids.end) & (position < config.min_length_tokens)
    return tf.nn.log_softmax(tf.where(banned, -float("inf"), tf.cast(logits, tf.float32)))


def _argmax(log_probs: Any) -> Any:
    return tf.argmax(log_probs, axis=-1, output_type=tf.int32)


def _sample(log_probs: Any, uniforms: Any, config: DecodeConfig) -> Any:
    """Draws words int32 [B,W] by inverting the cumulative distribution at `uniforms` [B,W].

    Top-k, then nucleus filtering (Holtzman et al. 2020): the likeliest words whose
    probability together first reaches `top_p`.
    """
    vocabulary_size = tf.shape(log_probs)[-1]
    size = tf.minimum(config.top_k, vocabulary_size) if config.top_k else vocabulary_size
    values, words = tf.math.top_k(log_probs, size)
    # Differences to the likeliest word stay finite however low the temperature.
    probs = tf.nn.softmax((values - values[..., :1]) / config.temperature)
    if config.top_p < 1:
        before = tf.cumsum(probs, axis=-1, exclusive=True)
        probs = tf.where(before < config.top_p, probs, 0.0)
    cumulative = tf.cumsum(probs, axis=-1)
    threshold = uniforms[..., tf.newaxis] * cumulative[..., -1:]
    place = tf.reduce_sum(tf.cast(cumulative <= threshold, tf.int32), axis=-1)
    last = tf.reduce_sum(tf.cast(probs > 0, tf.int32), axis=-1) - 1
    return tf.gather(words, tf.minimum(place, last), batch_dims=2)


def _write(token_ids: Any, position: Any, words: Any) -> Any:
    """Puts words [B,W] at a position of token ids [B,W,T]."""
    here = tf.range(tf.shape(token_ids)[-1]) == position
    return tf.where(here, words[..., tf.newaxis], token_ids)


def _take(nest: Any, parents: Any) -> Any:
    """Reorders the hypotheses of each image: nest [B,W,...], parents int32 [B,W]."""
    return tf.nest.map_structure(lambda x: tf.gather(x, parents, batch_dims=1), nest)


def _reorder(found: Hypotheses, ranks: Any) -> Hypotheses:
    """Sorts hypotheses by ranks [B,W], best first."""
    order = tf.argsort(ranks, axis=-1, direction="DESCENDING", stable=True)
    return Hypotheses(*_take(found, order))
