"""Greedy, beam and sampled decoding over a step function; knows no network.

Takes `step(tokens, state) -> (logits, state)` and a start state; returns token ids with their
log-probabilities. Everything is TensorFlow inside one `tf.while_loop`, so it compiles into the
caller's graph and stops as soon as every caption has ended. `decode_rows` is the fast form: its
step works only on the hypotheses that still grow.

Legend: B images, W hypotheses an image (1, a beam's width, or the number of samples), N rows (the
hypotheses of all images that a step works on), V vocabulary size, T most tokens drawn, F best
words of a row. State is any nest of tensors [B,W,...], in rows [N,...].

Log-probabilities are natural logarithms under the model's distribution over the words that may
follow: padding, unknown and `<start>` never may, `<end>` only after `min_length_tokens` words, and
with `no_repeat_ngram_size` no word that would end a phrase of that size for the second time.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from model_lib import hypotheses, next_words
from model_lib.config import DecodeConfig
from model_lib.hypotheses import Hypotheses, Longer, Rows
from model_lib.next_words import SpecialIds

StepFn = Callable[[Any, Any], tuple[Any, Any]]
RowStepFn = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


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
    width = hypotheses.per_image(config)

    def row_step(tokens: Any, places: Any, state: Any, position: Any) -> tuple[Any, Any]:
        del places  # all of them, in order
        logits, state = step(hypotheses.by_image(tokens, width), hypotheses.by_image(state, width))
        offsets = next_words.offsets(logits.shape[-1], position, config, ids)
        return hypotheses.flat(tf.cast(logits, tf.float32) + offsets), hypotheses.flat(state)

    return decode_rows(row_step, initial_state, config, ids, uniforms, keep_all=True)


def decode_rows(
    step: RowStepFn,
    initial_state: Any,
    config: DecodeConfig,
    ids: SpecialIds | None = None,
    uniforms: Any = None,
    *,
    keep_all: bool = False,
) -> Hypotheses:
    """Draws the captions that `decode` draws, with a step over rows.

    Args:
        step: takes last tokens int32 [N], places int32 [N] (image * W + hypothesis, ascending),
            state [N,...] and the position of the next word, int32; returns logits float32 [N,V],
            V known when traced and `next_words.offsets` added, and state.
        initial_state: as for `decode`.
        config: as for `decode`.
        ids: as for `decode`.
        uniforms: as for `decode`.
        keep_all: whether all B * W hypotheses stay rows: more arithmetic, but fixed shapes.
            Otherwise only those that still grow are.

    Returns:
        As `decode`.
    """
    ids = ids or SpecialIds()
    if config.method == "beam":
        found = _loop(step, _longer_beam, initial_state, config, ids, keep_all)
        return Hypotheses(*(part[:, : config.num_captions] for part in found))

    def longer(
        rows: Rows,
        logits: Any,
        position: Any,
        found: Hypotheses,
        config: DecodeConfig,
        ids: SpecialIds,
    ) -> Longer:
        if config.method == "greedy":
            largest, words = next_words.best_words(logits, 1)
            drawn = next_words.log_probs(largest, logits, largest)
        else:
            here = tf.gather(hypotheses.flat(uniforms)[:, position], rows.places)
            words = next_words.sample(logits, here, config)[:, tf.newaxis]
            largest = tf.reduce_max(logits, axis=-1, keepdims=True)
            drawn = next_words.log_probs(tf.gather(logits, words, batch_dims=1), logits, largest)
        return _longer_draw(rows, words, drawn, found, ids)

    drawn = _loop(step, longer, initial_state, config, ids, keep_all)
    if config.method == "greedy":
        return drawn
    return hypotheses.best_first(drawn, drawn.log_probs / tf.cast(drawn.lengths, tf.float32))


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
    whole = config.replace(method="beam", num_captions=config.beam_width)
    return decode(step, initial_state, whole, ids)


def _loop(
    step: RowStepFn,
    longer: Callable[..., Longer],
    initial_state: Any,
    config: DecodeConfig,
    ids: SpecialIds,
    keep_all: bool,
) -> Hypotheses:
    """Steps until T tokens are drawn or nothing is left to extend.

    `longer` takes rows, the logits [N,V] of words that may follow (-inf for the others), the
    position, the hypotheses, the settings and the special words.
    """
    found = hypotheses.empty(tf.shape(tf.nest.flatten(initial_state)[0])[0], config, ids)
    rows = hypotheses.first_rows(initial_state, found, ids, keep_all)

    def body(position: Any, rows: Rows, found: Hypotheses) -> tuple[Any, Rows, Hypotheses]:
        logits, state = step(rows.tokens, rows.places, rows.state, position)
        if config.no_repeat_ngram_size:
            said = tf.gather(hypotheses.flat(found.token_ids), rows.places)
            logits = next_words.without_repeats(logits, said, position, config.no_repeat_ngram_size)
        after = longer(rows, logits, position, found, config, ids)
        lengths = after.found.lengths + tf.cast(~after.found.finished, tf.int32)
        token_ids = hypotheses.write(after.found.token_ids, position, after.words)
        ended = after.found.finished | (after.words == ids.end)
        found = Hypotheses(token_ids, after.found.log_probs, lengths, ended)
        return position + 1, hypotheses.next_rows(rows, state, after, found, keep_all), found

    unknown = tf.nest.map_structure(lambda x: tf.TensorShape([None, *x.shape[1:]]), (rows, found))
    final = tf.while_loop(
        lambda position, rows, found: tf.reduce_any(hypotheses.grows(found)),
        body,
        (tf.constant(0), rows, found),
        shape_invariants=(tf.TensorShape([]), *unknown),
        maximum_iterations=config.max_length_tokens,
    )
    found = Hypotheses(*final[-1])
    return found


def _longer_beam(
    rows: Rows,
    logits: Any,
    position: Any,
    found: Hypotheses,
    config: DecodeConfig,
    ids: SpecialIds,
) -> Longer:
    """Keeps the W best of all ways to go on; a finished hypothesis stays as it is."""
    del position
    width = config.beam_width
    # What is not among the W best of its row is not among the W best of its image.
    firsts = min(width, logits.shape[-1])
    values, words = next_words.best_words(logits, firsts)
    before = tf.gather(hypotheses.flat(found.log_probs), rows.places)[:, tf.newaxis]
    totals = before + next_words.log_probs(values, logits, values[:, :1])
    # [B,W,F]; a frozen hypothesis has one continuation, padding, that costs nothing.
    stay = tf.where(tf.range(firsts) == 0, found.log_probs[..., tf.newaxis], -float("inf"))
    frozen = found.finished[..., tf.newaxis]
    totals = tf.where(frozen, stay, hypotheses.put(rows.places, totals, found, -float("inf")))
    words = tf.where(frozen, ids.pad, hypotheses.put(rows.places, words, found, ids.pad))
    lengths = tf.cast(found.lengths + tf.cast(~found.finished, tf.int32), tf.float32)
    ranks = totals / lengths[..., tf.newaxis] ** config.length_penalty
    _, best = tf.math.top_k(tf.reshape(ranks, [-1, width * firsts]), width)
    parents = best // firsts
    kept = Hypotheses(*hypotheses.take(found, parents))
    flat = [tf.reshape(part, [-1, width * firsts]) for part in (totals, words)]
    chosen = hypotheses.take(flat, best)
    first_places = tf.range(tf.shape(parents)[0])[:, tf.newaxis] * width
    return Longer(kept._replace(log_probs=chosen[0]), chosen[1], first_places + parents)


def _longer_draw(
    rows: Rows, words: Any, log_probs: Any, found: Hypotheses, ids: SpecialIds
) -> Longer:
    """Extends each row by its word int32 [N,1]; a finished hypothesis stays as it is."""
    drawn = hypotheses.put(rows.places, log_probs, found, 0.0)[..., 0]
    words = hypotheses.put(rows.places, words, found, ids.pad)[..., 0]
    log_probs = found.log_probs + tf.where(found.finished, 0.0, drawn)
    words = tf.where(found.finished, ids.pad, words)
    places = tf.reshape(tf.range(tf.size(words)), tf.shape(words))
    return Longer(found._replace(log_probs=log_probs), words, places)
