"""From logits to words: which may follow, the best, and random ones.

Takes the logits of a step, float32 [N,V], one row a hypothesis; words that may not follow have
-inf. Knows neither the network nor the search.

Legend: N rows, V vocabulary size, F words of a row.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from model_lib.config import DecodeConfig

# The best words are found faster in vocabularies of a multiple of this size; an odd multiple of 16,
# for the layout of the last kernel (`fast_decoder`).
GROUP_WORDS = 48


class SpecialIds(NamedTuple):
    """Ids of the words with a meaning of their own."""

    pad: int = 0
    unknown: int = 1
    start: int = 2
    end: int = 3


def offsets(vocabulary_size: int, position: Any, config: DecodeConfig, ids: SpecialIds) -> Any:
    """Returns float32 [V] to be added to logits: -inf for words that may not follow, else 0."""
    words = tf.range(vocabulary_size)
    banned = (words == ids.pad) | (words == ids.unknown) | (words == ids.start)
    banned |= (words == ids.end) & (position < config.min_length_tokens)
    return tf.where(banned, -float("inf"), 0.0)


def without_repeats(logits: Any, token_ids: Any, position: Any, size: int) -> Any:
    """Takes the words away that would end a phrase of `size` words that was said before.

    After "a brown dog and a brown", with size 3, "dog" may not follow.

    Args:
        logits: float32 [N,V].
        token_ids: words so far int32 [N,T]; what lies at `position` and behind it is not read.
        position: of the next word.
        size: words of a phrase, 1 or more.

    Returns:
        The logits, -inf for such words.
    """
    starts = token_ids.shape[1] - size + 1
    if starts < 1:
        return logits
    # Where each earlier phrase starts: its first words are the last ones, its end is to be banned.
    said = tf.range(starts) + size - 1 < position
    matches = tf.repeat(said[tf.newaxis], tf.shape(token_ids)[0], axis=0)
    for offset in range(size - 1):
        last = tf.maximum(0, position - size + 1 + offset)
        word = tf.gather(token_ids, last, axis=1)[:, tf.newaxis]
        matches &= token_ids[:, offset : offset + starts] == word
    found = tf.cast(tf.where(matches), tf.int32)
    ends = tf.gather_nd(token_ids, found + tf.constant([0, size - 1]))
    places = tf.stack([found[:, 0], ends], axis=1)
    never = tf.fill(tf.shape(ends), -float("inf"))
    return tf.cond(
        tf.size(ends) > 0,
        lambda: tf.tensor_scatter_nd_update(logits, places, never),
        lambda: logits,
    )


def log_probs(values: Any, logits: Any, largest: Any) -> Any:
    """Log-softmax of some logits, values [N,F], of all, [N,V], whose largest is [N,1]."""
    return values - largest - tf.math.log(tf.reduce_sum(tf.exp(logits - largest), -1, True))


def best_words(logits: Any, count: int) -> tuple[Any, Any]:
    """`tf.math.top_k` of logits [N,V], in two stages: a scan for the best groups, then in them.

    Of equal logits the first word counts as better, as in `top_k`, so the best words are in
    the groups whose largest logits are best; these are searched in the vocabulary's order.
    """
    groups = logits.shape[-1] // GROUP_WORDS
    if logits.shape[-1] % GROUP_WORDS or groups <= count:
        values, words = tf.math.top_k(logits, count)
        return values, words
    grouped = tf.reshape(logits, [-1, groups, GROUP_WORDS])
    _, best = tf.math.top_k(tf.reduce_max(grouped, axis=-1), count)
    best = tf.sort(best, axis=-1)
    members = tf.reshape(tf.gather(grouped, best, batch_dims=1), [-1, count * GROUP_WORDS])
    values, places = tf.math.top_k(members, count)
    group = tf.gather(best, places // GROUP_WORDS, batch_dims=1)
    return values, group * GROUP_WORDS + places % GROUP_WORDS


def sample(logits: Any, uniforms: Any, config: DecodeConfig) -> Any:
    """Draws words int32 [N] by inverting the cumulative distribution at `uniforms` [N].

    Top-k, then nucleus filtering (Holtzman et al. 2020): the likeliest words whose
    probability together first reaches `top_p`. Where nothing is filtered nothing is sorted:
    words stay in the vocabulary's order.
    """
    vocabulary_size = tf.shape(logits)[-1]
    size = tf.minimum(config.top_k, vocabulary_size) if config.top_k else vocabulary_size
    if config.top_k or config.top_p < 1:
        values, words = tf.math.top_k(logits, size)
    else:
        values, words = logits, None
    # Differences to the likeliest word stay finite however low the temperature.
    best = tf.reduce_max(values, axis=-1, keepdims=True)
    probs = tf.nn.softmax((values - best) / config.temperature)
    if config.top_p < 1:
        before = tf.cumsum(probs, axis=-1, exclusive=True)
        probs = tf.where(before < config.top_p, probs, 0.0)
    cumulative = tf.cumsum(probs, axis=-1)
    threshold = uniforms[..., tf.newaxis] * cumulative[..., -1:]
    place = tf.reduce_sum(tf.cast(cumulative <= threshold, tf.int32), axis=-1)
    # Rounding may bring the threshold to the sum of all: the last word that may follow then.
    places = tf.range(tf.shape(probs)[-1])
    last = tf.reduce_max(tf.where(probs > 0, places, 0), axis=-1)
    place = tf.minimum(place, last)
    return place if words is None else tf.gather(words, place, batch_dims=1)
