import numpy as np
import pytest
import tensorflow as tf

from model_lib import decoding, fast_decoder, hypotheses, next_words
from model_lib.config import DecodeConfig, ModelConfig
from model_lib.decoder import CaptionDecoder
from model_lib.fast_decoder import FastDecoder
from model_lib.next_words import GROUP_WORDS, SpecialIds

VOCABULARY, IMAGES, POSITIONS, CHANNELS, WIDTH = 30, 3, 4, 10, 16
CONFIGS = {
    "course": ModelConfig(width=WIDTH),
    "multihead": ModelConfig(width=WIDTH, attention="multihead", num_heads=4),
    "image start": ModelConfig(width=WIDTH, initial_state="image"),
    "tied": ModelConfig(
        width=WIDTH, attention="multihead", num_heads=2, initial_state="image", tie_embeddings=True
    ),
}
METHODS = [
    DecodeConfig(method="greedy", max_length_tokens=7),
    DecodeConfig(method="beam", beam_width=3, num_captions=3, max_length_tokens=7),
    DecodeConfig(method="sample", num_captions=4, top_k=5, max_length_tokens=7),
]


@pytest.fixture(params=CONFIGS)
def decoder(request) -> CaptionDecoder:
    """A decoder with random weights, biases included."""
    tf.random.set_seed(1)
    made = CaptionDecoder(CONFIGS[request.param], VOCABULARY)
    features = tf.zeros([1, POSITIONS, CHANNELS])
    made((features, tf.zeros([1, 1, 2], tf.int32)))
    generator = np.random.default_rng(2)
    for variable in made.trainable_variables:
        variable.assign(generator.normal(0, 0.5, variable.shape))
    return made


@pytest.fixture
def features() -> tf.Tensor:
    return tf.random.stateless_normal([IMAGES, POSITIONS, CHANNELS], seed=[1, 2])


def test_a_step_gives_the_decoder_s_own_logits_and_state(decoder, features):
    fast = FastDecoder(decoder)
    slow_memory, memory = decoder.start(features), fast.start(features)
    np.testing.assert_allclose(memory.initial_state, slow_memory.initial_state, atol=1e-5)
    state = tf.random.stateless_normal([IMAGES, 2, WIDTH], seed=[3, 4])
    tokens = tf.constant([[5, 6], [7, 8], [9, 10]])
    logits, after = decoder.step(tokens, state, slow_memory)
    # Rows of three images with two hypotheses each; the second image's first one has ended.
    places = np.array([0, 1, 3, 4, 5])
    flat_tokens, flat_state = tf.reshape(tokens, [-1]), tf.reshape(state, [-1, WIDTH])
    fast_logits, fast_after = fast.step(
        tf.gather(flat_tokens, places),
        tf.constant(places, tf.int32),
        tf.gather(flat_state, places),
        memory,
        2,
    )
    expected = tf.reshape(logits, [-1, VOCABULARY]).numpy()[places]
    np.testing.assert_allclose(fast_logits.numpy()[:, :VOCABULARY], expected, atol=1e-4)
    np.testing.assert_allclose(
        fast_after, tf.reshape(after, [-1, WIDTH]).numpy()[places], atol=1e-5
    )


@pytest.mark.parametrize("config", METHODS, ids=lambda config: config.method)
@pytest.mark.parametrize("keep_all", [False, True])
def test_captions_are_those_of_the_plain_decoder(decoder, features, config, keep_all):
    uniforms = tf.random.stateless_uniform(
        [IMAGES, config.num_captions, config.max_length_tokens], seed=[5, 6]
    )
    slow_memory = decoder.start(features)
    plain = decoding.decode(
        lambda tokens, state: decoder.step(tokens, state, slow_memory),
        slow_memory.initial_state,
        config,
        uniforms=uniforms,
    )
    fast = FastDecoder(decoder)
    memory = fast.start(features)
    width = hypotheses.per_image(config)

    def step(tokens, places, state, position):
        offsets = next_words.offsets(fast.num_logits, position, config, SpecialIds())
        return fast.step(tokens, places, state, memory, width, offsets)

    found = decoding.decode_rows(
        step,
        memory.initial_state,
        config,
        uniforms=uniforms,
        keep_all=keep_all,
    )
    np.testing.assert_array_equal(found.token_ids, plain.token_ids)
    np.testing.assert_array_equal(found.lengths, plain.lengths)
    np.testing.assert_allclose(found.log_probs, plain.log_probs, atol=1e-3)


def test_later_changes_of_the_decoder_do_not_reach_it(features):
    made = CaptionDecoder(CONFIGS["course"], VOCABULARY)
    made((features, tf.zeros([IMAGES, 1, 2], tf.int32)))
    fast = FastDecoder(made)
    before = fast.start(features).values.numpy()
    for variable in made.trainable_variables:
        variable.assign(variable * 2.0)
    np.testing.assert_array_equal(fast.start(features).values.numpy(), before)


def test_kernels_with_two_layouts_are_wider_and_change_nothing(decoder, features, monkeypatch):
    def step(fast):
        tokens, places = tf.constant([5, 6, 7]), tf.constant([0, 1, 2])
        memory = fast.start(features)
        return fast.step(tokens, places, memory.initial_state, memory, 1)

    monkeypatch.setattr(fast_decoder, "_MAX_TABLE_BYTES", 0)  # so that the input has a kernel too
    plain = FastDecoder(decoder)
    monkeypatch.setattr(fast_decoder, "_UNSTEADY_COLUMNS", WIDTH)
    wider = FastDecoder(decoder)
    for kernel, wide in ((plain._input, wider._input), (plain._recurrent, wider._recurrent)):
        assert [part.shape[-1] for part in kernel] == [3 * WIDTH] * 2
        assert [part.shape[-1] for part in wide] == [3 * WIDTH + WIDTH // 2] * 2
    for found, expected in zip(step(wider), step(plain), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "columns"), [(30, 48), (48, 48), (49, 144), (96, 144), (145, 240), (2924, 2928)]
)
def test_logits_have_whole_groups_of_words_and_one_layout(words, columns):
    made = CaptionDecoder(CONFIGS["course"], words)
    made((tf.zeros([1, POSITIONS, CHANNELS]), tf.zeros([1, 1, 2], tf.int32)))
    fast = FastDecoder(made)
    kernel, bias = fast._logits
    assert fast.num_logits == columns
    assert (kernel.shape, bias.shape) == ((WIDTH, columns), (columns,))
    assert columns % GROUP_WORDS == 0
    assert columns % fast_decoder._UNSTEADY_COLUMNS
    np.testing.assert_array_equal(bias[words:], -np.inf)
