"""The hypotheses of a decoding, and the rows of them that a step works on.

Takes and gives tensors only: captions so far [B,W,...], and the rows [N,...] of those that still
grow. `decoding.py` says how a caption gets longer; here is where its words and states lie.

Legend: B images, W hypotheses an image (1, a beam's width, or the number of samples), N rows, T
most tokens drawn, F best words of a row.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from model_lib.config import DecodeConfig
from model_lib.next_words import SpecialIds


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


class Rows(NamedTuple):
    """The hypotheses that the next step works on.

    Attributes:
        places: int32 [N]: image * W + hypothesis, ascending.
        tokens: int32 [N], their last words.
        state: nest of tensors [N,...].
    """

    places: Any
    tokens: Any
    state: Any


class Longer(NamedTuple):
    """Hypotheses after a step, with the place int32 [B,W] that each came from."""

    found: Hypotheses
    words: Any
    origins: Any


def per_image(config: DecodeConfig) -> int:
    """Returns W: the beam's width, or the number of captions that are drawn."""
    return config.beam_width if config.method == "beam" else config.num_captions


def first_rows(initial_state: Any, found: Hypotheses, ids: SpecialIds, keep_all: bool) -> Rows:
    """Returns the rows before the first word, from a nest of tensors [B,...]."""
    places = places_of(found, keep_all)
    images = places // found.lengths.shape[1]
    return Rows(places, tf.fill(tf.shape(places), ids.start), _gather(initial_state, images))


def next_rows(rows: Rows, state: Any, after: Longer, found: Hypotheses, keep_all: bool) -> Rows:
    """Returns the rows of hypotheses that grow, each with the state of its origin."""
    places = places_of(found, keep_all)
    row_of_place = tf.scatter_nd(
        rows.places[:, tf.newaxis], tf.range(tf.size(rows.places)), [tf.size(after.origins)]
    )
    sources = tf.gather(row_of_place, tf.gather(flat(after.origins), places))
    return Rows(places, tf.gather(flat(after.words), places), _gather(state, sources))


def empty(batch: Any, config: DecodeConfig, ids: SpecialIds) -> Hypotheses:
    """Returns W hypotheses an image without words; of a beam, all but the first are none."""
    width = per_image(config)
    log_probs = tf.zeros([batch, width])
    if config.method == "beam":
        log_probs += tf.where(tf.range(width) == 0, 0.0, -float("inf"))
    return Hypotheses(
        tf.fill([batch, width, config.max_length_tokens], ids.pad),
        log_probs,
        tf.zeros([batch, width], tf.int32),
        tf.zeros([batch, width], tf.bool),
    )


def grows(found: Hypotheses) -> Any:
    """Tells of each place, bool [B,W], whether its caption has not ended."""
    return ~found.finished & (found.log_probs > -float("inf"))


def places_of(found: Hypotheses, keep_all: bool) -> Any:
    """Returns the places int32 [N] of the hypotheses that grow, or of all."""
    if keep_all:
        return tf.range(tf.size(found.log_probs))
    return tf.cast(tf.where(flat(grows(found)))[:, 0], tf.int32)


def put(places: Any, values: Any, found: Hypotheses, default: Any) -> Any:
    """Puts rows' values [N,F] at their places: [B,W,F], `default` elsewhere."""
    batch, width = tf.shape(found.lengths)[0], found.lengths.shape[1]
    blank = tf.fill([batch * width, values.shape[1]], tf.cast(default, values.dtype))
    whole = tf.tensor_scatter_nd_update(blank, places[:, tf.newaxis], values)
    return by_image(whole, width)


def flat(nest: Any) -> Any:
    """Joins the first two axes: nest [B,W,...] -> [B*W,...]."""
    return tf.nest.map_structure(
        lambda x: tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], axis=0)), nest
    )


def by_image(nest: Any, width: int) -> Any:
    """Undoes `flat`: nest [B*W,...] -> [B,W,...]."""
    return tf.nest.map_structure(
        lambda x: tf.reshape(x, tf.concat([[-1, width], tf.shape(x)[1:]], axis=0)), nest
    )


def _gather(nest: Any, rows: Any) -> Any:
    return tf.nest.map_structure(lambda x: tf.gather(x, rows), nest)


def write(token_ids: Any, position: Any, words: Any) -> Any:
    """Puts words [B,W] at a position of token ids [B,W,T]."""
    here = tf.range(tf.shape(token_ids)[-1]) == position
    return tf.where(here, words[..., tf.newaxis], token_ids)


def take(nest: Any, parents: Any) -> Any:
    """Reorders the hypotheses of each image: nest [B,W,...], parents int32 [B,W]."""
    return tf.nest.map_structure(lambda x: tf.gather(x, parents, batch_dims=1), nest)


def best_first(found: Hypotheses, ranks: Any) -> Hypotheses:
    """Sorts hypotheses by ranks [B,W], best first."""
    order = tf.argsort(ranks, axis=-1, direction="DESCENDING", stable=True)
    return Hypotheses(*take(found, order))
