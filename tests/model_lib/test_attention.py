"""Attention weights: exact values, sums, equality with the way captions are drawn."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from model_lib.attention import attention_contributions, attention_maps, explain
from model_lib.bundle import load_bundle
from model_lib.captioner import Captioner
from model_lib.config import DecodeConfig, ModelConfig
from model_lib.decoder import CaptionDecoder, build_decoder
from model_lib.encoder import load_encoder
from model_lib.errors import EncoderError, TruncatedImageError
from model_lib.tokenizer import END_ID, START_ID
from tests.toy import make_toy_bundle

# Images, positions, channels, tokens, width, words, heads.
B, P, C, L, D, V, HEADS = 2, 9, 6, 5, 8, 11, 2
RANDOM = np.random.default_rng(2)
FEATURES = RANDOM.normal(size=(B, P, C)).astype(np.float32)
IDS = RANDOM.integers(0, V, (B, L)).astype(np.int32)
SAMPLE = DecodeConfig(method="sample", num_captions=2, temperature=2.0, max_length_tokens=12)


def make(**settings: object) -> CaptionDecoder:
    keras.utils.set_random_seed(0)
    config = ModelConfig.from_dict({"width": D, "num_heads": HEADS, **settings})
    decoder = build_decoder(config, V, (P, C))
    random = np.random.default_rng(3)
    decoder.set_weights([random.normal(0, 0.7, w.shape) for w in decoder.get_weights()])
    return decoder


def softmax(scores: np.ndarray) -> np.ndarray:
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


def states_of(decoder: CaptionDecoder) -> np.ndarray:
    """The GRU's states [B,L,D], one step after another."""
    memory = decoder.start(FEATURES)
    state = memory.initial_state[:, None]
    states = []
    for position in range(L):
        _, state = decoder.step(IDS[:, position : position + 1], state, memory)
        states.append(np.asarray(state)[:, 0])
    return np.stack(states, axis=1)


def projected_of(decoder: CaptionDecoder) -> np.ndarray:
    kernel, bias = decoder.project.get_weights()
    return np.maximum(FEATURES @ kernel + bias, 0.0)


def test_weights_of_dot_attention_are_the_softmax_of_products() -> None:
    decoder = make(attention="dot", initial_state="image")
    expected = softmax(states_of(decoder) @ projected_of(decoder).transpose(0, 2, 1))
    maps = attention_maps(decoder, FEATURES, IDS)
    assert maps.shape == (B, L, P)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-6)


def test_weights_of_several_heads_are_averaged() -> None:
    decoder = make(attention="multihead")
    query, query_bias, key, key_bias = decoder.attention.get_weights()[:4]
    queries = np.einsum("bld,dhe->bhle", states_of(decoder), query) + query_bias[:, None]
    keys = np.einsum("bpd,dhe->bhpe", projected_of(decoder), key) + key_bias[:, None]
    of_heads = softmax(queries @ keys.transpose(0, 1, 3, 2) / np.sqrt(D / HEADS))
    maps = attention_maps(decoder, FEATURES, IDS)
    np.testing.assert_allclose(maps, of_heads.mean(axis=1), rtol=1e-4, atol=1e-6)


def test_contributions_of_dot_attention_are_weights_times_lengths() -> None:
    decoder = make(attention="dot")
    lengths = np.linalg.norm(projected_of(decoder), axis=-1)
    expected = attention_maps(decoder, FEATURES, IDS) * lengths[:, None]
    expected /= expected.sum(axis=-1, keepdims=True)
    shares = attention_contributions(decoder, FEATURES, IDS)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares, expected, rtol=1e-4, atol=1e-6)


def test_contributions_of_heads_are_added_up() -> None:
    decoder = make(attention="multihead")
    names = ("query", "query_bias", "key", "key_bias", "value", "value_bias", "output")
    of = dict(zip(names, decoder.attention.get_weights(), strict=False))
    projected = projected_of(decoder)
    queries = np.einsum("bld,dhe->bhle", states_of(decoder), of["query"])
    keys = np.einsum("bpd,dhe->bhpe", projected, of["key"]) + of["key_bias"][:, None]
    weights = softmax(
        (queries + of["query_bias"][:, None]) @ keys.swapaxes(2, 3) / np.sqrt(D / HEADS)
    )
    values = np.einsum("bpd,dhe->bhpe", projected, of["value"]) + of["value_bias"][:, None]
    vectors = np.einsum("bhpe,hed->bhpd", values, of["output"])
    lengths = np.linalg.norm(np.einsum("bhlp,bhpd->blpd", weights, vectors), axis=-1)
    shares = attention_contributions(decoder, FEATURES, IDS)
    expected = lengths / lengths.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(shares, expected, rtol=1e-3, atol=1e-6)


def test_where_nothing_is_read_no_position_contributes() -> None:
    decoder = make(attention="dot")
    kernel, bias = decoder.project.get_weights()
    decoder.project.set_weights([kernel, np.full_like(bias, -1e3)])
    assert not attention_contributions(decoder, FEATURES, IDS).any()
    np.testing.assert_allclose(attention_maps(decoder, FEATURES, IDS), 1 / P, rtol=1e-5)


@pytest.mark.parametrize("attention", ["dot", "multihead"])
def test_weights_sum_to_one_and_read_no_later_word(attention: str) -> None:
    decoder = make(attention=attention)
    maps = attention_maps(decoder, FEATURES, IDS)
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.sum(axis=-1), 1.0, atol=1e-6)
    changed = IDS.copy()
    changed[:, 3:] = 0
    again = attention_maps(decoder, FEATURES, changed)
    np.testing.assert_allclose(again[:, :3], maps[:, :3], atol=1e-6)
    assert np.abs(again[:, 3:] - maps[:, 3:]).max() > 0.01


def test_several_captions_an_image_keep_their_places() -> None:
    decoder = make(attention="multihead")
    captions = np.stack([IDS, IDS[:, ::-1]], axis=1)
    together = ops.convert_to_numpy(decoder.attention_weights((FEATURES, captions)))
    assert together.shape == (B, 2, L, P)
    for place in range(2):
        alone = attention_maps(decoder, FEATURES, captions[:, place])
        np.testing.assert_allclose(together[:, place], alone, atol=1e-6)


@pytest.fixture(scope="module", params=["dot", "multihead"])
def any_captioner(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Captioner:
    folder = tmp_path_factory.mktemp("attention") / request.param
    return load_bundle(make_toy_bundle(str(folder), attention=request.param))


@pytest.mark.parametrize("decode", [None, SAMPLE], ids=["beam", "sample"])
def test_the_caption_explained_is_the_caption_drawn(
    any_captioner: Captioner, photos: list[bytes], decode: DecodeConfig | None
) -> None:
    for data in photos[:4]:
        expected = any_captioner.caption_bytes([data], decode)[0][0]
        found = explain(any_captioner, data, decode)
        without = {"log_prob": 0.0, "score": 0.0}
        assert dataclasses.replace(found.caption, **without) == dataclasses.replace(
            expected, **without
        )
        assert " ".join(found.words) == expected.text
        # The step form's log-probability is that of the whole form's logits.
        total = found.log_probs.sum() + end_log_prob(any_captioner, data, decode)
        np.testing.assert_allclose(total, expected.log_prob, rtol=1e-4, atol=1e-4)
        assert found.log_probs.shape == (len(found.words),)


def end_log_prob(captioner: Captioner, data: bytes, decode: DecodeConfig | None) -> float:
    """Log-probability of `<end>` behind the best caption, by the decoder's step form."""
    [[caption, *_]] = captioner.caption_bytes([data], decode)
    if not caption.finished:
        return 0.0
    memory = captioner.decoder.start(captioner.encode_prepared([captioner.preprocessor(data)]))
    state, logits = memory.initial_state[:, None], None
    for token in (START_ID, *caption.token_ids[:-1]):
        logits, state = captioner.decoder.step(np.array([[token]], np.int32), state, memory)
    scores = np.asarray(logits)[0, 0].astype(np.float64)
    scores[: START_ID + 1] = -np.inf
    return float(np.log(softmax(scores)[END_ID]))


def test_weights_lie_as_the_feature_map_does(any_captioner: Captioner, photos: list[bytes]) -> None:
    found = explain(any_captioner, photos[0])
    image = any_captioner.preprocessor(photos[0])
    assert found.weights.shape == (len(found.words), 4, 4)
    assert found.weights.dtype == np.float32
    np.testing.assert_allclose(found.weights.sum(axis=(1, 2)), 1.0, atol=1e-6)
    np.testing.assert_array_equal(found.image.pixels, image.pixels)
    ids = [START_ID, *found.caption.token_ids[:-1]]
    maps = attention_maps(any_captioner.decoder, any_captioner.encode_prepared([image]), [ids])
    expected = maps[0, : len(found.words)].reshape(-1, 4, 4)
    np.testing.assert_allclose(found.weights, expected, atol=1e-6)
    np.testing.assert_allclose(found.contributions.sum(axis=(1, 2)), 1.0, atol=1e-6)
    assert found.contributions.shape == found.weights.shape
    assert np.abs(found.contributions - found.weights).max() > 0.01


def test_repeats_that_were_not_allowed_count_in_the_log_probabilities(
    captioner: Captioner, photos: list[bytes]
) -> None:
    size = {"min_length_tokens": 14, "max_length_tokens": 15}
    decode = DecodeConfig(method="greedy", no_repeat_ngram_size=1, **size)
    repeats, cut = 0, 0
    for data in photos[:6]:
        found = explain(captioner, data, decode)
        end = found.caption.log_prob - found.log_probs.sum()  # of <end>, where it was drawn
        assert end == pytest.approx(0.0, abs=1e-3) or (found.caption.finished and end < 0)
        cut += not found.caption.finished
        assert len(found.words) == len(set(found.words)) >= 14
        plain = explain(captioner, data, decode.replace(no_repeat_ngram_size=0))
        repeats += len(plain.words) - len(set(plain.words))
    assert repeats > 0
    assert cut > 0


def test_confidence_needs_a_temperature(captioner: Captioner, photos: list[bytes]) -> None:
    assert explain(captioner, photos[0]).confidence is None
    info = dataclasses.replace(captioner.info, score_temperature=2.0)
    fitted = Captioner(info, captioner.encoder, captioner.decoder, captioner.tokenizer)
    found = explain(fitted, photos[0])
    assert found.confidence == np.exp(found.caption.score / 2)


def test_a_caption_that_was_cut_is_explained_whole(
    captioner: Captioner, photos: list[bytes]
) -> None:
    short = DecodeConfig(method="greedy", max_length_tokens=3)
    found = explain(captioner, photos[0], short)
    assert not found.caption.finished
    assert len(found.words) == found.caption.num_tokens == 3
    np.testing.assert_allclose(found.log_probs.sum(), found.caption.log_prob, atol=1e-4)


def test_what_cannot_be_explained_is_an_error(
    captioner: Captioner, photos: list[bytes], tmp_path
) -> None:
    with pytest.raises(TruncatedImageError):
        explain(captioner, photos[0][:-20])
    image = keras.Input((32, 32, 3))
    narrow = keras.layers.Conv2D(8, 8, strides=(8, 16))(image)
    keras.Model(image, narrow).save(tmp_path / "narrow.keras")
    encoder = load_encoder(str(tmp_path / "narrow.keras"))
    decoder = build_decoder(captioner.info.model, len(captioner.tokenizer), (8, 8))
    odd = Captioner(captioner.info, encoder, decoder, captioner.tokenizer)
    with pytest.raises(EncoderError, match="8 positions, which is no square"):
        explain(odd, photos[0])
