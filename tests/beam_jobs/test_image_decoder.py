import hashlib
import threading

import numpy as np
import pytest

from beam_jobs.fetching.host_slots import PROCESS_SLOTS
from beam_jobs.fetching.pauses import is_paused
from beam_jobs.image_decoder import EncodedImage, ImageDecoder
from beam_jobs.records import Failure
from model_lib.config import PreprocessConfig
from model_lib.preprocessing import Preprocessor
from tests.images import BROKEN_IMAGE_ERRORS, broken_images, good_images

CONFIG = PreprocessConfig(image_size=32)


@pytest.fixture(scope="module")
def decoder() -> ImageDecoder:
    return ImageDecoder(CONFIG)


def test_pixels_are_those_of_the_preprocessor_in_the_order_given(decoder):
    images = good_images()
    batch = [EncodedImage(name, data) for name, data in images.items()]
    plain = Preprocessor(CONFIG)
    for (name, data), prepared in zip(images.items(), decoder.decode(batch), strict=True):
        assert prepared.sha256 == hashlib.sha256(data).hexdigest(), name
        np.testing.assert_array_equal(prepared.pixels, plain(data).pixels)


def test_what_cannot_be_decoded_is_a_failure_that_keeps_what_is_carried(decoder):
    batch = [EncodedImage(name, data, (7,)) for name, data in broken_images().items()]
    failures = decoder.decode(batch)
    assert {each.uri: each.error_type for each in failures} == BROKEN_IMAGE_ERRORS
    assert {(each.stage, each.carried) for each in failures} == {("decode", (7,))}


def test_images_that_could_not_be_read_pass_through(decoder):
    unread = Failure("gone.jpg", "read", "FileNotFoundError", "")
    good = EncodedImage("a", good_images()["rgb.jpg"])
    decoded = decoder.decode([unread, good, unread])
    assert decoded[0] is decoded[2] is unread
    assert (decoded[1].width, decoded[1].height) == (
        Preprocessor(CONFIG)(good.data).width,
        Preprocessor(CONFIG)(good.data).height,
    )


def test_an_empty_batch(decoder):
    assert decoder.decode([]) == []


def test_reads_for_this_thread_wait_until_the_batch_is_decoded(decoder, monkeypatch):
    taker, seen = threading.get_ident(), []

    def is_paused_now() -> bool:
        with PROCESS_SLOTS.lock:
            return is_paused(taker)

    def decode(data: bytes) -> bytes:
        seen.append(is_paused_now())
        return data

    monkeypatch.setattr(decoder, "_preprocessor", decode)
    assert decoder.decode([EncodedImage("a", b"a"), EncodedImage("b", b"b")]) == [b"a", b"b"]
    assert seen == [True, True]
    assert not is_paused_now()
