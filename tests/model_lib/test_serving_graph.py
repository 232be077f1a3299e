"""The serving graph, called in this process, against the captioner."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from model_lib.captioner import Captioner
from model_lib.config import DecodeConfig
from model_lib.serving_graph import NO_SCORE, _uniforms, serving_module
from tests.images import with_orientation
from tests.toy import TOY_SIZE, toy_pixels

BEAM = DecodeConfig(beam_width=3, num_captions=2, max_length_tokens=12)
# Too short for most captions to end.
GREEDY = DecodeConfig(method="greedy", max_length_tokens=9)
# More captions than there are of one word.
WIDE = DecodeConfig(beam_width=40, num_captions=40, min_length_tokens=0, max_length_tokens=1)
SAMPLE = DecodeConfig(
    method="sample", num_captions=3, temperature=2.0, top_k=10, seed=3, max_length_tokens=12
)


def plain(outputs: Any) -> dict[str, Any]:
    return {name: values.numpy() for name, values in outputs.items()}


def words(array: Any) -> Any:
    return np.char.decode(array.astype("S"), "utf-8").tolist()


@pytest.fixture(scope="module")
def beam(captioner: Captioner) -> tf.Module:
    return serving_module(captioner, BEAM)


@pytest.mark.parametrize("decode", [GREEDY, BEAM, WIDE], ids=["greedy", "beam", "wide"])
def test_captions_are_the_captioners(
    captioner: Captioner, beam: tf.Module, photos: list[bytes], decode: DecodeConfig
) -> None:
    expected = captioner.caption_bytes(photos, decode)
    module = beam if decode is BEAM else serving_module(captioner, decode)
    outputs = plain(module.caption_bytes(tf.constant(photos)))
    best = [captions[0] for captions in expected]
    assert words(outputs["caption"]) == [caption.text for caption in best]
    np.testing.assert_allclose(outputs["score"], [c.score for c in best], atol=1e-5)
    assert outputs["num_tokens"].tolist() == [caption.num_tokens for caption in best]
    assert outputs["finished"].tolist() == [caption.finished for caption in best]
    assert len(set(outputs["finished"].tolist())) == (2 if decode is GREEDY else 1)
    assert outputs["readable"].all()
    missing = [decode.num_captions - len(captions) for captions in expected]
    texts = [[c.text for c in row] + [""] * n for row, n in zip(expected, missing, strict=True)]
    assert words(outputs["candidates"]) == texts
    scores = [
        [c.score for c in row] + [NO_SCORE] * n for row, n in zip(expected, missing, strict=True)
    ]
    np.testing.assert_allclose(outputs["candidate_scores"], scores, atol=1e-5)
    assert any(missing) == (decode is WIDE)


def test_pixels_give_what_their_images_give(
    captioner: Captioner, beam: tf.Module, photos: list[bytes]
) -> None:
    pixels = np.stack([captioner.preprocessor(photo).pixels for photo in photos])
    of_pixels, of_bytes = plain(beam.caption_pixels(pixels)), plain(beam.caption_bytes(photos))
    assert of_bytes.pop("readable").all()
    assert of_pixels.keys() == of_bytes.keys()
    for name, values in of_pixels.items():
        np.testing.assert_array_equal(values, of_bytes[name])


def test_a_broken_image_costs_its_own_row_only(beam: tf.Module, photos: list[bytes]) -> None:
    whole = plain(beam.caption_bytes(photos[:3]))
    mixed = plain(beam.caption_bytes([photos[0], b"no image", photos[1], b"", photos[2]]))
    assert mixed["readable"].tolist() == [True, False, True, False, True]
    for name, values in whole.items():
        kept = mixed[name][[0, 2, 4]]
        if name.endswith(("score", "scores")):
            np.testing.assert_allclose(kept, values, atol=1e-5)
        else:
            np.testing.assert_array_equal(kept, values)
    broken = {name: values[[1, 3]].tolist() for name, values in mixed.items()}
    assert broken == {
        "caption": [b"", b""],
        "score": [NO_SCORE] * 2,
        "num_tokens": [0, 0],
        "finished": [False, False],
        "candidates": [[b"", b""]] * 2,
        "candidate_scores": [[NO_SCORE] * 2] * 2,
        "readable": [False, False],
    }


def test_an_empty_batch(beam: tf.Module) -> None:
    outputs = plain(beam.caption_bytes(tf.zeros([0], tf.string)))
    shapes = {name: values.shape for name, values in outputs.items()}
    assert shapes.pop("candidates") == shapes.pop("candidate_scores") == (0, 2)
    assert set(shapes.values()) == {(0,)}


def test_a_turned_photo_is_captioned_upright(captioner: Captioner, beam: tf.Module) -> None:
    upright = Image.fromarray(toy_pixels(1)[0])
    turned = with_orientation(upright.transpose(Image.Transpose.ROTATE_90), 6, "JPEG")
    outputs = plain(beam.caption_bytes([turned]))
    assert words(outputs["caption"]) == [captioner.caption_bytes([turned], BEAM)[0][0].text]


def test_samples_depend_on_image_and_seed_only(captioner: Captioner) -> None:
    pixels = toy_pixels(9)
    module = serving_module(captioner, SAMPLE)
    first = plain(module.caption_pixels(pixels))
    again = plain(module.caption_pixels(pixels[::-1]))
    assert again["candidates"][::-1].tolist() == first["candidates"].tolist()
    assert len(set(first["candidates"].ravel().tolist())) > 9
    assert (np.diff(first["candidate_scores"], axis=1) <= 0).all()
    uniforms = [_uniforms(tf.constant(pixels), SAMPLE.replace(seed=seed)) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(uniforms[0], uniforms[1])
    assert np.mean(uniforms[0] == uniforms[2]) < 0.01


def test_pixels_of_another_size_are_refused(beam: tf.Module) -> None:
    with pytest.raises(TypeError, match=f"{TOY_SIZE}, {TOY_SIZE}, 3"):
        beam.caption_pixels(np.zeros((1, 16, 16, 3), np.uint8))
