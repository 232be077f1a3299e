import pickle

import pytest

from beam_jobs.model_handler import CaptionModelHandler, EncodedImage
from beam_jobs.records import CaptionedImage, Failure
from model_lib.bundle import load_bundle
from model_lib.captioner import Captioner
from model_lib.config import DecodeConfig
from model_lib.errors import BundleError
from tests.images import BROKEN_IMAGE_ERRORS, broken_images, good_images
from tests.toy import make_toy_bundle

GOOD = [EncodedImage(name, good_images()[name]) for name in ("rgb.jpg", "rgba.png", "lossy.webp")]


class ChokingCaptioner(Captioner):
    """A real captioner whose network cannot stand images of one format."""

    chokes_on = "png"

    def caption_prepared(self, images, decode=None, batch_size=32):
        if any(image.format == self.chokes_on for image in images):
            raise RuntimeError("not enough memory for this batch")
        return super().caption_prepared(images, decode, batch_size)


@pytest.fixture(scope="module")
def captioner(toy_bundle) -> Captioner:
    return load_bundle(toy_bundle)


def outcomes(handler, batch, captioner):
    results = list(handler.run_inference(batch, captioner))
    assert [result.example for result in results] == [image.uri for image in batch]
    assert {result.model_id for result in results} == {handler.info.fingerprint}
    return [result.inference for result in results]


def test_a_batch_gives_what_the_captioner_gives(toy_bundle, captioner):
    decode = DecodeConfig(method="beam", num_captions=2, max_length_tokens=6)
    handler = CaptionModelHandler(toy_bundle, decode, batch_size=4)
    expected = captioner.caption_bytes([image.data for image in GOOD], decode, 4)
    prepared = [captioner.preprocessor(image.data) for image in GOOD]
    assert outcomes(handler, GOOD, captioner) == [
        CaptionedImage(
            image.uri,
            ready.sha256,
            tuple(captions),
            ready.width,
            ready.height,
            ready.format,
            len(image.data),
        )
        for image, ready, captions in zip(GOOD, prepared, expected, strict=True)
    ]


def test_broken_images_cost_their_own_rows_only(toy_bundle, captioner):
    handler = CaptionModelHandler(toy_bundle)
    broken = [EncodedImage(name, data) for name, data in broken_images().items()]
    batch = [GOOD[0], *broken, GOOD[1]]
    found = outcomes(handler, batch, captioner)
    assert [found[0], found[-1]] == outcomes(handler, GOOD[:2], captioner)
    assert {
        failure.uri: (failure.stage, failure.error_type, failure.attempts)
        for failure in found[1:-1]
    } == {name: ("decode", error, 1) for name, error in BROKEN_IMAGE_ERRORS.items()}


def test_a_batch_of_nothing_but_broken_images_never_reaches_the_model(toy_bundle):
    [failure] = outcomes(CaptionModelHandler(toy_bundle), [EncodedImage("e", b"")], None)
    assert (failure.stage, failure.error_type) == ("decode", "EmptyImageError")


def test_a_batch_that_fails_in_the_model_costs_the_guilty_row_only(toy_bundle, captioner):
    parts = (captioner.info, captioner.encoder, captioner.decoder, captioner.tokenizer)
    handler = CaptionModelHandler(toy_bundle)
    well = outcomes(handler, GOOD, captioner)
    found = outcomes(handler, GOOD, ChokingCaptioner(*parts))
    guilty = Failure("rgba.png", "caption", "RuntimeError", "not enough memory for this batch")
    assert found == [well[0], guilty, well[2]]


def test_no_caption_at_all_is_a_failure(toy_bundle, captioner):
    class SilentCaptioner(Captioner):
        def caption_prepared(self, images, decode=None, batch_size=32):
            return [[] for _ in images]

    parts = (captioner.info, captioner.encoder, captioner.decoder, captioner.tokenizer)
    found = outcomes(CaptionModelHandler(toy_bundle), GOOD[:1], SilentCaptioner(*parts))
    assert [(failure.stage, failure.error_type) for failure in found] == [
        ("caption", "NoCaptionError")
    ]


def test_batching_metrics_and_sharing_are_as_set(toy_bundle):
    handler = CaptionModelHandler(toy_bundle, batch_size=7, share_model=True)
    assert handler.batch_elements_kwargs() == {"min_batch_size": 7, "max_batch_size": 7}
    assert handler.share_model_across_processes()
    assert not CaptionModelHandler(toy_bundle).share_model_across_processes()
    assert handler.get_num_bytes(GOOD) == sum(len(image.data) for image in GOOD)
    assert handler.get_metrics_namespace() == "caption_images_model"
    with pytest.raises(ValueError, match="takes no inference_args"):
        handler.validate_inference_args({"seed": 1})


def test_a_handler_pickles_small_also_after_use(toy_bundle, captioner):
    handler = CaptionModelHandler(toy_bundle)
    outcomes(handler, GOOD, captioner)
    copy = pickle.loads(pickle.dumps(handler))
    assert len(pickle.dumps(handler)) < 10_000
    assert outcomes(copy, GOOD, captioner) == outcomes(handler, GOOD, captioner)


def test_the_model_that_is_loaded_must_be_the_one_the_job_started_with(tmp_path):
    path = make_toy_bundle(str(tmp_path / "b"))
    handler = CaptionModelHandler(path)
    assert handler.load_model().info == handler.info
    make_toy_bundle(path, attention="multihead")
    with pytest.raises(BundleError, match="was replaced while the job ran"):
        handler.load_model()


def test_a_missing_bundle_is_noticed_when_the_handler_is_made(tmp_path):
    with pytest.raises(BundleError, match=r"bundle\.json"):
        CaptionModelHandler(str(tmp_path / "none"))
