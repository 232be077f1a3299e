import dataclasses
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from model_lib import decoding
from model_lib.bundle import load_bundle
from model_lib.caption import Caption
from model_lib.captioner import Captioner, _uniforms
from model_lib.captioning_graphs import SPECIAL_IDS, Graph
from model_lib.config import DecodeConfig
from model_lib.errors import ConfigError, EmptyImageError, TruncatedImageError
from model_lib.first_run import run_ahead
from model_lib.streams import Streams
from model_lib.tokenizer import END_ID, START_ID
from tests.toy import TOY_CAPTIONS, make_toy_bundle

GREEDY = DecodeConfig(method="greedy", max_length_tokens=12)
BEAM = DecodeConfig(beam_width=3, num_captions=2, max_length_tokens=12)
SAMPLE = DecodeConfig(
    method="sample", num_captions=2, temperature=2.0, top_k=10, seed=3, max_length_tokens=12
)


def check_equal(actual: Sequence[list[Caption]], expected: Sequence[list[Caption]]) -> None:
    """Everything is equal; log-probabilities to what 32 bits hold."""
    assert len(actual) == len(expected)
    for captions, others in zip(actual, expected, strict=True):
        assert [without_scores(c) for c in captions] == [without_scores(c) for c in others]
        np.testing.assert_allclose(
            [(c.log_prob, c.score) for c in captions],
            [(c.log_prob, c.score) for c in others],
            atol=1e-4,
        )


def without_scores(caption: Caption) -> Caption:
    return dataclasses.replace(caption, log_prob=0.0, score=0.0)


@pytest.mark.parametrize("decode", [GREEDY, BEAM, SAMPLE], ids=lambda decode: decode.method)
def test_captions_do_not_depend_on_the_batch_size(
    captioner: Captioner, photos: list[bytes], decode: DecodeConfig
) -> None:
    expected = captioner.caption_bytes(photos, decode, batch_size=1)
    assert [len(captions) for captions in expected] == [decode.num_captions] * len(photos)
    for batch_size in (7, 32):
        check_equal(captioner.caption_bytes(photos, decode, batch_size), expected)


@pytest.mark.parametrize("decode", [BEAM, SAMPLE], ids=lambda decode: decode.method)
def test_captions_do_not_depend_on_order_and_neighbours(
    captioner: Captioner, photos: list[bytes], decode: DecodeConfig
) -> None:
    expected = captioner.caption_bytes(photos, decode, batch_size=7)
    order = np.random.default_rng(0).permutation(len(photos))[:10]
    shuffled = captioner.caption_bytes([photos[place] for place in order], decode, batch_size=7)
    check_equal(shuffled, [expected[place] for place in order])
    check_equal(captioner.caption_bytes(photos[:1] * 9, decode, batch_size=7), expected[:1] * 9)


def test_the_toy_says_what_it_sees(captioner: Captioner, photos: list[bytes]) -> None:
    captions = [best for [best] in captioner.caption_bytes(photos, GREEDY)]
    tints = [captioner.preprocessor(data).pixels.mean(axis=(0, 1)) for data in photos]
    plain = [place for place, tint in enumerate(tints) if np.diff(np.sort(tint))[1] > 80]
    assert {int(tints[place].argmax()) for place in plain} == {0, 1, 2}
    for place in plain:
        assert captions[place].text == TOY_CAPTIONS[tints[place].argmax()]
        assert captions[place].finished


@pytest.mark.parametrize("decode", [GREEDY, BEAM, SAMPLE], ids=lambda decode: decode.method)
def test_the_parts_of_a_caption_fit_each_other(
    captioner: Captioner, photos: list[bytes], decode: DecodeConfig
) -> None:
    for captions in captioner.caption_bytes(photos, decode.replace(max_length_tokens=9)):
        for caption in captions:
            assert caption.num_tokens == len(caption.token_ids) <= 9
            assert caption.finished == (caption.token_ids[-1] == END_ID)
            assert caption.text == captioner.tokenizer.decode(caption.token_ids)
            assert len(caption.text.split()) == caption.num_tokens - caption.finished
            assert caption.score == caption.log_prob / caption.num_tokens < 0
        scores = [caption.score for caption in captions]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("decode", [GREEDY, BEAM, SAMPLE], ids=lambda decode: decode.method)
def test_the_compiled_graph_gives_what_plain_keras_gives(
    captioner: Captioner, photos: list[bytes], decode: DecodeConfig
) -> None:
    prepared = [captioner.preprocessor(data) for data in photos[:5]]
    pixels = np.stack([image.pixels for image in prepared]).astype(np.float32)
    memory = captioner.decoder.start(captioner.encoder.predict(pixels, verbose=0))
    found = decoding.decode(
        lambda tokens, state: captioner.decoder.step(tokens, state, memory),
        memory.initial_state,
        decode,
        SPECIAL_IDS,
        tf.constant([list(_uniforms(image.sha256, decode)) for image in prepared]),
    )
    captions = captioner.caption_prepared(prepared, decode, batch_size=8)
    for place, expected in enumerate(captions):
        lengths = found.lengths[place].numpy()
        ids = [
            tuple(row[:length])
            for row, length in zip(found.token_ids[place].numpy(), lengths, strict=True)
        ]
        assert [caption.token_ids for caption in expected] == ids
        log_probs = [caption.log_prob for caption in expected]
        np.testing.assert_allclose(log_probs, found.log_probs[place], atol=1e-4)


@pytest.mark.parametrize("attention", ["dot", "multihead"])
def test_greedy_follows_the_logits_that_training_sees(
    attention: str, photos: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = str(tmp_path_factory.mktemp("kinds") / attention)
    captioner = load_bundle(make_toy_bundle(path, attention=attention))
    pixels = captioner.preprocessor(photos[0]).pixels[np.newaxis].astype(np.float32)
    features = captioner.encoder(pixels)
    ids, log_prob = [START_ID], 0.0
    while ids[-1] != END_ID and len(ids) < 13:
        logits = np.asarray(captioner.decoder((features, np.array([[ids]]))))[0, 0, -1]
        logits = logits.astype(np.float64)
        logits[:END_ID] = -np.inf
        if len(ids) == 1:
            logits[END_ID] = -np.inf
        ids.append(int(logits.argmax()))
        log_prob += logits.max() - np.log(np.exp(logits).sum())
    [[caption]] = captioner.caption_bytes(photos[:1], GREEDY)
    assert caption.token_ids == tuple(ids[1:])
    assert caption.log_prob == pytest.approx(log_prob, abs=1e-4)


def test_sampling_follows_seed_image_and_caption(captioner: Captioner, photos: list[bytes]) -> None:
    first = captioner.caption_bytes(photos, SAMPLE)
    check_equal(captioner.caption_bytes(photos, SAMPLE), first)
    again = captioner.caption_bytes(photos, SAMPLE.replace(seed=4))
    pairs = zip(first, again, strict=True)
    assert sum(one[0].text != other[0].text for one, other in pairs) > 25
    assert sum(one.text != other.text for one, other in first) > 25
    one, two = "0" * 64, "0" * 15 + "1" + "0" * 48
    decode = SAMPLE.replace(num_captions=3, max_length_tokens=50)
    numbers = [n for image in (one, two) for n in _uniforms(image, decode)]
    assert len({tuple(row) for row in numbers}) == 6
    assert all(np.all((row >= 0) & (row < 1)) and row.shape == (50,) for row in numbers)
    fewer = next(_uniforms(one, decode.replace(num_captions=1, max_length_tokens=5)))
    np.testing.assert_array_equal(fewer, numbers[0][:5])


def test_the_bundle_s_settings_are_the_default(captioner: Captioner, photos: list[bytes]) -> None:
    default = captioner.caption_bytes(photos[:3])
    assert default == captioner.caption_bytes(photos[:3], captioner.info.decode)
    [short] = captioner.caption_bytes(photos[:1], GREEDY.replace(max_length_tokens=4))
    assert (short[0].num_tokens, short[0].finished) == (4, False)
    assert captioner.caption_bytes(photos[:1], BEAM)[0][0] != short[0]


def test_no_images_and_no_batch(captioner: Captioner, photos: list[bytes]) -> None:
    assert captioner.caption_bytes([]) == []
    assert captioner.caption_prepared([], BEAM, batch_size=3) == []
    for batch_size in (0, -1):
        with pytest.raises(ConfigError, match=f"batch_size is {batch_size}; expected at least 1"):
            captioner.caption_bytes(photos[:1], batch_size=batch_size)


def test_a_bad_image_is_named_by_its_error(captioner: Captioner, photos: list[bytes]) -> None:
    with pytest.raises(EmptyImageError):
        captioner.caption_bytes([*photos[:2], b""])
    with pytest.raises(TruncatedImageError):
        captioner.caption_bytes([photos[0][:-100], b""])


def test_threads_share_one_graph(toy_bundle: str, photos: list[bytes]) -> None:
    captioner = load_bundle(toy_bundle)
    results: dict[int, list[list[Caption]]] = {}

    def work(number: int) -> None:
        results[number] = captioner.caption_bytes(photos[:5], GREEDY, batch_size=2)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1] == results[2]
    captioner.caption_bytes(photos[:1], GREEDY.replace(seed=9), batch_size=2)
    assert len(captioner._compiled) == 2  # the encoder and the decoder


def test_nothing_is_compiled_for_no_image(toy_bundle: str) -> None:
    captioner = load_bundle(toy_bundle)
    assert captioner.caption_bytes([]) == []
    assert not captioner._compiled


@pytest.mark.parametrize("cores", [1, 2])
def test_both_graphs_have_their_first_run_ahead_where_there_is_a_core_for_it(
    toy_bundle: str, photos: list[bytes], monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    examples: list[list[tuple[int, ...]]] = []

    def noted(graph: Graph, *example: np.ndarray[Any, Any]) -> Graph:
        examples.append([array.shape for array in example])
        return run_ahead(graph, *example)

    monkeypatch.setattr("model_lib.captioner.run_ahead", noted)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", str(cores))
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 1)
    captioner = load_bundle(toy_bundle)
    captioner.caption_bytes(photos[:3], GREEDY)
    captioner.caption_bytes(photos[:3], GREEDY)
    decoder_s = [(16, *captioner.encoder.output_shape[1:]), (16, 1, GREEDY.max_length_tokens)]
    encoder_s = [(1, *captioner.encoder.input_shape[1:])]
    assert examples == ([decoder_s, encoder_s] if cores > 1 else [])


def test_features_are_the_encoder_s(captioner: Captioner, photos: list[bytes]) -> None:
    prepared = [captioner.preprocessor(data) for data in photos]
    pixels = np.stack([image.pixels for image in prepared]).astype(np.float32)
    expected = captioner.encoder.predict(pixels, verbose=0)
    for batch_size in (3, 64):
        features = captioner.encode_prepared(prepared, batch_size)
        np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    room = np.empty_like(features)
    assert captioner.encode_prepared(prepared, 3, out=room) is room
    np.testing.assert_array_equal(room, captioner.encode_prepared(prepared, 3))
    with pytest.raises(ConfigError, match="batch_size is 0; expected at least 1"):
        captioner.encode_prepared(prepared, 0)


def test_streams_change_no_caption(
    captioner: Captioner, photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = [captioner.preprocessor(data) for data in photos * 3]
    for streams in (1, 4):
        monkeypatch.setattr(captioner, "_streams", Streams(streams, 1))
        for decode in (GREEDY, BEAM, SAMPLE):
            expected = captioner.caption_prepared(prepared, decode, batch_size=7)
            check_equal(captioner.caption_prepared(prepared, decode, batch_size=64), expected)
