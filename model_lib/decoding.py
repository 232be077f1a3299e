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
from typing import Any, NamedTuple

import tensorflow as tf

from model_lib import next_words
from model_lib.config import DecodeConfig
from model_lib.next_words import SpecialIds

StepFn = Callable[[Any, Any], tuple[Any, Any]]
RowStepFn = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


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


class _Rows(NamedTuple):
    """The hypotheses that the next step works on.

    Attributes:
        places: int32 [N]: image * W + hypothesis, ascending.
        tokens: int32 [N], their last words.
        state: nest of tensors [N,...].
    """

    places: Any
    tokens: Any
    state: Any


class _Longer(NamedTuple):
    """Hypotheses after a step, with the place int32 [B,W] that each came from."""

    found: Hypotheses
    words: Any
    origins: Any


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
    width = hypotheses_per_image(config)

    def row_step(tokens: Any, places: Any, state: Any, position: Any) -> tuple[Any, Any]:
        del places  # all of them, in order
        logits, state = step(_by_image(tokens, width), _by_image(state, width))
        offsets = next_words.offsets(logits.shape[-1], position, config, ids)
        return _flat(tf.cast(logits, tf.float32) + offsets), _flat(state)

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
        rows: _Rows,
        logits: Any,
        position: Any,
        found: Hypotheses,
        config: DecodeConfig,
        ids: SpecialIds,
    ) -> _Longer:
        if config.method == "greedy":
            largest, words = next_words.best_words(logits, 1)
            drawn = next_words.log_probs(largest, logits, largest)
        else:
            here = tf.gather(_flat(uniforms)[:, position], rows.places)
            words = next_words.sample(logits, here, config)[:, tf.newaxis]
            largest = tf.reduce_max(logits, axis=-1, keepdims=True)
            drawn = next_words.log_probs(tf.gather(logits, words, batch_dims=1), logits, largest)
        return _longer_draw(rows, words, drawn, found, ids)

    drawn = _loop(step, longer, initial_state, config, ids, keep_all)
    if config.method == "greedy":
        return drawn
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
    whole = config.replace(method="beam", num_captions=config.beam_width)
    return decode(step, initial_state, whole, ids)


def hypotheses_per_image(config: DecodeConfig) -> int:
    """Returns W: the beam's width, or the number of captions that are drawn."""
    return config.beam_width if config.method == "beam" else config.num_captions


def _loop(
    step: RowStepFn,
    longer: Callable[..., _Longer],
    initial_state: Any,
    config: DecodeConfig,
    ids: SpecialIds,
    keep_all: bool,
) -> Hypotheses:
    """Steps until T tokens are drawn or nothing is left to extend.

    `longer` takes rows, the logits [N,V] of words that may follow (-inf for the others), the
    position, the hypotheses, the settings and the special words.
    """
    found = _empty(tf.shape(tf.nest.flatten(initial_state)[0])[0], config, ids)
    places = _places(found, keep_all)
    images = places // hypotheses_per_image(config)
    rows = _Rows(places, tf.fill(tf.shape(places), ids.start), _gather(initial_state, images))

    def body(position: Any, rows: _Rows, found: Hypotheses) -> tuple[Any, _Rows, Hypotheses]:
        logits, state = step(rows.tokens, rows.places, rows.state, position)
        if config.no_repeat_ngram_size:
            said = tf.gather(_flat(found.token_ids), rows.places)
            logits = next_words.without_repeats(logits, said, position, config.no_repeat_ngram_size)
        after = longer(rows, logits, position, found, config, ids)
        lengths = after.found.lengths + tf.cast(~after.found.finished, tf.int32)
        token_ids = _write(after.found.token_ids, position, after.words)
        ended = after.found.finished | (after.words == ids.end)
        found = Hypotheses(token_ids, after.found.log_probs, lengths, ended)
        return position + 1, _next_rows(rows, state, after, found, keep_all), found

    unknown = tf.nest.map_structure(lambda x: tf.TensorShape([None, *x.shape[1:]]), (rows, found))
    final = tf.while_loop(
        lambda position, rows, found: tf.reduce_any(_grows(found)),
        body,
        (tf.constant(0), rows, found),
        shape_invariants=(tf.TensorShape([]), *unknown),
        maximum_iterations=config.max_length_tokens,
    )
    found = Hypotheses(*final[-1])
    return found


def _longer_beam(
    rows: _Rows,
    logits: Any,
    position: Any,
    found: Hypotheses,
    config: DecodeConfig,
    ids: SpecialIds,
) -> _Longer:
    """Keeps the W best of all ways to go on; a finished hypothesis stays as it is."""
    del position
    width = config.beam_width
    # What is not among the W best of its row is not among the W best of its image.
    firsts = min(width, logits.shape[-1])
    values, words = next_words.best_words(logits, firsts)
    before = tf.gather(_flat(found.log_probs), rows.places)[:, tf.newaxis]
    totals = before + next_words.log_probs(values, logits, values[:, :1])
    # [B,W,F]; a frozen hypothesis has one continuation, padding, that costs nothing.
    stay = tf.where(tf.range(firsts) == 0, found.log_probs[..., tf.newaxis], -float("inf"))
    frozen = found.finished[..., tf.newaxis]
    totals = tf.where(frozen, stay, _put(rows.places, totals, found, -float("inf")))
    words = tf.where(frozen, ids.pad, _put(rows.places, words, found, ids.pad))
    lengths = tf.cast(found.lengths + tf.cast(~found.finished, tf.int32), tf.float32)
    ranks = totals / lengths[..., tf.newaxis] ** config.length_penalty
    _, best = tf.math.top_k(tf.reshape(ranks, [-1, width * firsts]), width)
    parents = best // firsts
    kept = Hypotheses(*_take(found, parents))
    chosen = _take([tf.reshape(part, [-1, width * firsts]) for part in (totals, words)], best)
    first_places = tf.range(tf.shape(parents)[0])[:, tf.newaxis] * width
    return _Longer(kept._replace(log_probs=chosen[0]), chosen[1], first_places + parents)


def _longer_draw(
    rows: _Rows, words: Any, log_probs: Any, found: Hypotheses, ids: SpecialIds
) -> _Longer:
    """Extends each row by its word int32 [N,1]; a finished hypothesis stays as it is."""
    drawn = _put(rows.places, log_probs, found, 0.0)[..., 0]
    words = _put(rows.places, words, found, ids.pad)[..., 0]
    log_probs = found.log_probs + tf.where(found.finished, 0.0, drawn)
    words = tf.where(found.finished, ids.pad, words)
    places = tf.reshape(tf.range(tf.size(words)), tf.shape(words))
    return _Longer(found._replace(log_probs=log_probs), words, places)


def _next_rows(rows: _Rows, state: Any, after: _Longer, found: Hypotheses, keep_all: bool) -> _Rows:
    """Returns the rows of hypotheses that grow, each with the state of its origin."""
    places = _places(found, keep_all)
    row_of_place = tf.scatter_nd(
        rows.places[:, tf.newaxis], tf.range(tf.size(rows.places)), [tf.size(after.origins)]
    )
    sources = tf.gather(row_of_place, tf.gather(_flat(after.origins), places))
    return _Rows(places, tf.gather(_flat(after.words), places), _gather(state, sources))


def _empty(batch: Any, config: DecodeConfig, ids: SpecialIds) -> Hypotheses:
    """Returns W hypotheses an image without words; of a beam, all but the first are none."""
    width = hypotheses_per_image(config)
    log_probs = tf.zeros([batch, width])
    if config.method == "beam":
        log_probs += tf.where(tf.range(width) == 0, 0.0, -float("inf"))
    return Hypotheses(
        tf.fill([batch, width, config.max_length_tokens], ids.pad),
        log_probs,
        tf.zeros([batch, width], tf.int32),
        tf.zeros([batch, width], tf.bool),
    )


def _grows(found: Hypotheses) -> Any:
    return ~found.finished & (found.log_probs > -float("inf"))


def _places(found: Hypotheses, keep_all: bool) -> Any:
    """Returns the places int32 [N] of the hypotheses that grow, or of all."""
    if keep_all:
        return tf.range(tf.size(found.log_probs))
    return tf.cast(tf.where(_flat(_grows(found)))[:, 0], tf.int32)


def _put(places: Any, values: Any, found: Hypotheses, default: Any) -> Any:
    """Puts rows' values [N,F] at their places: [B,W,F], `default` elsewhere."""
    batch, width = tf.shape(found.lengths)[0], found.lengths.shape[1]
    empty = tf.fill([batch * width, values.shape[1]], tf.cast(default, values.dtype))
    whole = tf.tensor_scatter_nd_update(empty, places[:, tf.newaxis], values)
    return _by_image(whole, width)


def _flat(nest: Any) -> Any:
    """Joins the first two axes: nest [B,W,...] -> [B*W,...]."""
    return tf.nest.map_structure(
        lambda x: tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], axis=0)), nest
    )


def _by_image(nest: Any, width: int) -> Any:
    """Undoes `_flat`: nest [B*W,...] -> [B,W,...]."""
    return tf.nest.map_structure(
        lambda x: tf.reshape(x, tf.concat([[-1, width], tf.shape(x)[1:]], axis=0)), nest
    )


def _gather(nest: Any, rows: Any) -> Any:
    return tf.nest.map_structure(lambda x: tf.gather(x, rows), nest)


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
