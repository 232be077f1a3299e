import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from model_lib.config import DecodeConfig
from model_lib.decoding import Hypotheses, SpecialIds, beam_search, decode

V = 8  # <pad> <unk> <start> <end> and four words
PAD, UNKNOWN, START, END = SpecialIds()
WORDS = (4, 5, 6, 7)
STEPS = 4
EXAMPLES = settings(max_examples=20)


class TableModel:
    """Logits by a table over all histories of up to four words: any model of that size.

    The state holds the image's number and the history's number in base V.
    """

    def __init__(self, images: int = 1, seed: int = 0, spread: float = 2.0) -> None:
        random = np.random.default_rng(seed)
        self.table = random.normal(0, spread, (images, V**STEPS, V)).astype(np.float32)
        self.start = tf.constant([[image, 0] for image in range(images)])
        self.calls = tf.Variable(0)

    def step(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        self.calls.assign_add(1)
        history = state[..., 1] * V + tf.where(tokens == START, 0, tokens)
        return tf.gather_nd(self.table, tf.stack([state[..., 0], history], -1)), tf.stack(
            [state[..., 0], history], -1
        )

    def log_probs(
        self, image: int, words: tuple[int, ...], min_length: int, phrase: int = 0
    ) -> np.ndarray:
        """Log-probabilities of the next word, in 64 bits, written independently."""
        history = sum(word * V**place for place, word in enumerate(reversed(words)))
        logits = self.table[image, history].astype(np.float64)
        logits[[PAD, UNKNOWN, START]] = -np.inf
        if len(words) < min_length:
            logits[END] = -np.inf
        said = [words[place : place + phrase] for place in range(len(words) - phrase + 1)]
        for word in range(V):
            if phrase and (*words, word)[-phrase:] in said:
                logits[word] = -np.inf
        return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


class Found(NamedTuple):
    words: tuple[int, ...]
    log_prob: float
    finished: bool

    def rank(self, penalty: float) -> float:
        return self.log_prob / len(self.words) ** penalty

    @property
    def row(self) -> tuple[tuple[int, ...], int, bool]:
        return self.words, len(self.words), self.finished


def extended(model: TableModel, image: int, found: Found, config: DecodeConfig) -> list[Found]:
    """All ways to go on by one word; a finished one stays."""
    if found.finished:
        return [found]
    log_probs = model.log_probs(
        image, found.words, config.min_length_tokens, config.no_repeat_ngram_size
    )
    return [
        Found((*found.words, word), found.log_prob + log_probs[word], word == END)
        for word in (END, *WORDS)
        if log_probs[word] > -np.inf
    ]


def searched(model: TableModel, image: int, config: DecodeConfig, width: int) -> list[Found]:
    """A plain beam search; exhaustive where the width is not reached."""
    beam = [Found((), 0.0, False)]
    for _ in range(config.max_length_tokens):
        ways = [way for found in beam for way in extended(model, image, found, config)]
        beam = sorted(ways, key=lambda way: -way.rank(config.length_penalty))[:width]
    return beam


def unpacked(found: Hypotheses, image: int) -> list[Found]:
    """The captions of one image; checks that what follows a caption's end is padding."""
    ids, log_probs, lengths, finished = (np.asarray(part)[image] for part in found)
    for row, length in zip(ids, lengths, strict=True):
        assert np.all(row[length:] == PAD)
    return [
        Found(tuple(int(word) for word in row[:length]), float(log_prob), bool(end))
        for row, log_prob, length, end in zip(ids, log_probs, lengths, finished, strict=True)
    ]


def check_equal(actual: list[Found], expected: list[Found]) -> None:
    assert [found.row for found in actual] == [found.row for found in expected]
    np.testing.assert_allclose(
        [found.log_prob for found in actual], [found.log_prob for found in expected], atol=2e-5
    )


def run(model: TableModel, config: DecodeConfig, uniforms: Any = None) -> list[list[Found]]:
    found = decode(model.step, model.start, config, uniforms=uniforms)
    return [unpacked(found, image) for image in range(len(model.start))]


def short(**changes: Any) -> DecodeConfig:
    return DecodeConfig.from_dict({"method": "greedy", "max_length_tokens": STEPS, **changes})


def grid(images: int, captions: int, config: DecodeConfig) -> np.ndarray:
    """Evenly spread numbers in [0,1): for the first word, exact shares of a distribution."""
    even = ((np.arange(captions) + 0.5) / captions).astype(np.float32)
    return np.tile(even[:, None], (images, 1, config.max_length_tokens))


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0, 2.0])
def test_a_wide_beam_is_exhaustive_search(penalty: float) -> None:
    model = TableModel(images=2)
    captions = sum(4**words for words in range(STEPS)) + 4**STEPS  # that end, and that are cut
    config = short(method="beam", beam_width=captions, length_penalty=penalty, min_length_tokens=0)
    beams = beam_search(model.step, model.start, config, SpecialIds())
    for image in range(2):
        expected = searched(model, image, config, width=10**6)
        assert len({found.words for found in expected}) == len(expected) == captions == 341
        np.testing.assert_allclose(sum(np.exp(found.log_prob) for found in expected), 1.0)
        check_equal(unpacked(beams, image), expected)


def test_places_that_no_caption_fills_are_marked() -> None:
    model = TableModel()
    config = short(method="beam", beam_width=30, num_captions=30, max_length_tokens=2)
    [found] = run(model, config)  # four words, then one of them or the end
    check_equal(found[:20], searched(model, 0, config, width=30))
    assert [place.log_prob for place in found[20:]] == [-np.inf] * 10


@EXAMPLES
@given(
    st.integers(0, 2**32),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_a_narrow_beam_is_a_plain_beam_search(
    seed: int, width: int, penalty: float, min_length: int, phrase: int
) -> None:
    model = TableModel(images=2, seed=seed)
    config = short(
        method="beam",
        beam_width=width,
        num_captions=width,
        length_penalty=penalty,
        min_length_tokens=min_length,
        no_repeat_ngram_size=phrase,
    )
    for image, found in enumerate(run(model, config)):
        check_equal(found, searched(model, image, config, width))


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_no_phrase_comes_twice(method: str) -> None:
    def repeats(config: DecodeConfig) -> int:
        found = decode(
            model.step, model.start, config, uniforms=grid(40, config.num_captions, config)
        )
        captions = [row.words for image in range(40) for row in unpacked(found, image)]
        return sum(len(words) > len(set(words)) for words in captions)

    model = TableModel(images=40, spread=4.0)
    config = short(method=method, num_captions=1)
    assert repeats(config) > 5
    assert repeats(config.replace(no_repeat_ngram_size=1)) == 0


@EXAMPLES
@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(1, 3))
def test_width_one_is_greedy(seed: int, min_length: int, images: int) -> None:
    model = TableModel(images, seed)
    greedy = run(model, short(min_length_tokens=min_length))
    beam = run(model, short(method="beam", beam_width=1, min_length_tokens=min_length))
    for image in range(images):
        check_equal(beam[image], greedy[image])
        best = Found((), 0.0, False)
        while not best.finished and len(best.words) < STEPS:
            ways = extended(model, image, best, short(min_length_tokens=min_length))
            best = max(ways, key=lambda way: way.log_prob)
        check_equal(greedy[image], [best])


def test_a_finished_caption_is_frozen_and_gives_way_only_to_a_better_one() -> None:
    model = TableModel()
    model.table[:] = -50.0
    model.table[0, 0, [END, 4]] = np.log([0.6, 0.4])
    model.table[0, 4, [5, END]] = np.log([0.9, 0.1])  # 4 5 is worth 0.36, 4 <end> 0.04
    model.table[0, 4 * V + 5, [END, 6]] = np.log([0.8, 0.2])
    config = short(
        method="beam", beam_width=2, num_captions=2, length_penalty=0.0, min_length_tokens=0
    )
    ended, longer = Found((END,), np.log(0.6), True), Found((4, 5, END), np.log(0.288), True)
    check_equal(run(model, config)[0], [ended, longer])
    by_mean = config.replace(length_penalty=1.0)  # 0.288 ** (1/3) = 0.66 > 0.6
    check_equal(run(model, by_mean)[0], [longer, ended])
    check_equal(run(model, by_mean.replace(num_captions=1))[0], [longer])


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_padding_unknown_and_start_are_never_drawn(method: str) -> None:
    model = TableModel(images=3)
    uniforms = grid(3, 1, short())
    found = run(model, short(method=method), uniforms)
    model.table[..., :END] = 60.0
    for images, expected in zip(run(model, short(method=method), uniforms), found, strict=True):
        check_equal(images, expected)
        assert set(images[0].words) <= {END, *WORDS}


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
@pytest.mark.parametrize("min_length", [0, 1, 3])
def test_the_end_comes_only_after_the_fewest_words(method: str, min_length: int) -> None:
    model = TableModel(images=3)
    model.table[..., END] = 60.0
    config = short(method=method, min_length_tokens=min_length)
    for [found] in run(model, config, grid(3, 1, config)):
        assert len(found.words) == min_length + 1
        assert found.finished
        assert END not in found.words[:-1]


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_captions_are_cut_at_the_most_tokens(method: str) -> None:
    model = TableModel(images=3)
    model.table[..., END] = -60.0
    for most in (2, 4):
        config = short(method=method, max_length_tokens=most)
        found = run(model, config, grid(3, 1, config))
        assert [(len(caption.words), caption.finished) for [caption] in found] == [
            (most, False)
        ] * 3


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_decoding_stops_when_every_caption_has_ended(method: str) -> None:
    model = TableModel(images=2)
    model.table[0, :, END] = 60.0
    model.table[1, V:, END] = 60.0  # the second image's captions have two words before it
    model.table[1, :V, END] = -60.0
    config = DecodeConfig(method=method, beam_width=4, max_length_tokens=1000)
    graph = tf.function(lambda uniforms: decode(model.step, model.start, config, uniforms=uniforms))
    found = graph(tf.constant(grid(2, 1, config)))
    assert np.asarray(found.lengths).tolist() == [[2], [3]]
    assert model.calls.numpy() == 3


def test_sampled_shares_are_the_softmax_s() -> None:
    model = TableModel(seed=5)
    expected = np.exp(model.log_probs(0, (), 0))
    for temperature in (1.0, 0.5, 3.0):
        config = short(
            method="sample",
            num_captions=10_000,
            temperature=temperature,
            min_length_tokens=0,
            max_length_tokens=1,
        )
        [found] = run(model, config, grid(1, 10_000, config))
        shares = np.bincount([caption.words[0] for caption in found], minlength=V) / 10_000
        tempered = expected ** (1 / temperature)
        np.testing.assert_allclose(shares, tempered / tempered.sum(), atol=2e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"top_k": 1}, {6}),
        ({"top_k": 3}, {6, 4, END}),
        ({"top_k": 100}, {6, 4, END, 7, 5}),
        ({"top_p": 0.01}, {6}),
        ({"top_p": 0.49}, {6}),
        ({"top_p": 0.51}, {6, 4}),
        ({"top_p": 0.79}, {6, 4, END}),
        ({"top_p": 0.99}, {6, 4, END, 7, 5}),
        ({"top_k": 2, "top_p": 0.6}, {6}),  # of the two, 6 has 0.5 / 0.75
        ({"top_k": 2, "top_p": 0.7}, {6, 4}),
        ({"temperature": 1e-6}, {6}),
        ({"temperature": 1e6, "top_p": 0.5}, {6, 4, END}),  # all are equally likely
    ],
)
def test_top_k_and_top_p_keep_exactly_the_likeliest_words(
    changes: dict[str, Any], words: set[int]
) -> None:
    model = TableModel()
    model.table[0, 0, [6, 4, END, 7, 5]] = np.log([0.5, 0.25, 0.12, 0.08, 0.05])
    config = short(
        method="sample",
        num_captions=500,
        min_length_tokens=0,
        max_length_tokens=1,
        **changes,
    )
    [found] = run(model, config, grid(1, 500, config))
    assert {caption.words[0] for caption in found} == words
    for caption in found:  # under the model's own distribution
        expected = model.log_probs(0, (), 0)[caption.words[0]]
        assert caption.log_prob == pytest.approx(expected, abs=1e-5)


@EXAMPLES
@given(st.integers(0, 2**32))
def test_a_low_temperature_is_greedy(seed: int) -> None:
    model = TableModel(images=3, seed=seed)
    uniforms = np.random.default_rng(seed).random((3, 1, STEPS), np.float32)
    sampled = run(model, short(method="sample", temperature=1e-6), uniforms)
    for image, expected in enumerate(run(model, short())):
        check_equal(sampled[image], expected)


def test_samples_come_best_first_with_their_own_log_probs() -> None:
    model = TableModel(images=2)
    config = short(method="sample", num_captions=50, temperature=2.0)
    uniforms = np.random.default_rng(0).random((2, 50, STEPS), np.float32)
    for image, found in enumerate(run(model, config, uniforms)):
        scores = [caption.rank(1.0) for caption in found]
        assert scores == sorted(scores, reverse=True)
        assert len({caption.words for caption in found}) > 20
        every = {caption.words: caption for caption in searched(model, image, config, 10**6)}
        check_equal(found, [every[caption.words] for caption in found])


def test_samples_depend_on_their_image_and_numbers_only() -> None:
    model = TableModel(images=4)
    config = short(method="sample", num_captions=3)
    uniforms = np.random.default_rng(0).random((4, 3, STEPS), np.float32)
    together = run(model, config, uniforms)
    for order in itertools.islice(itertools.permutations(range(4)), 0, 24, 5):
        model.start = tf.constant([[image, 0] for image in order])
        for place, found in enumerate(run(model, config, uniforms[list(order)])):
            check_equal(found, together[order[place]])


def test_numbers_at_the_border_draw_words_that_may_follow() -> None:
    model = TableModel(images=2)
    largest = np.nextafter(np.float32(1), np.float32(0))
    for number in (0.0, largest):
        for top_p in (0.4, 1.0):
            uniforms = np.full((2, 1, STEPS), number, np.float32)
            for [found] in run(model, short(method="sample", top_p=top_p), uniforms):
                assert np.isfinite(found.log_prob)
                assert set(found.words) <= {END, *WORDS}


def test_borders_between_words_belong_to_the_later_word() -> None:
    model = TableModel()
    model.table[:] = -1e9
    model.table[0, 0, [4, 5]] = 0.0  # exactly one half each
    below = np.nextafter(np.float32(0.5), np.float32(0))
    for top_p, number, word in ((1.0, below, 4), (1.0, 0.5, 5), (0.5, 0.9, 4), (0.51, 0.9, 5)):
        config = short(method="sample", top_p=top_p, max_length_tokens=2)
        [[found]] = run(model, config, np.full((1, 1, 2), number, np.float32))
        assert found.words[0] == word


def test_other_special_ids() -> None:
    ids = SpecialIds(pad=7, unknown=6, start=5, end=4)
    logits = tf.constant([0.0, 3.0, 1.0, 2.0, 5.0, 9.0, 9.0, 9.0])
    asked = []

    def step(tokens: Any, state: Any) -> tuple[Any, Any]:
        asked.append(tokens.numpy().tolist())
        return logits[tf.newaxis, tf.newaxis], state

    found = decode(step, tf.zeros([1, 1]), short(min_length_tokens=2), ids)
    assert found.token_ids.numpy().tolist() == [[[1, 1, 4, 7]]]
    assert asked == [[[5]], [[1]], [[1]]]
