import dataclasses
import pickle
import platform

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.util import _GlobalWindowsBatchingDoFn

from beam_jobs import model_handler
from beam_jobs.gpu_memory import FittingCaptioner
from beam_jobs.image_decoder import EncodedImage
from beam_jobs.model_handler import CaptionModelHandler, ModelLostError
from beam_jobs.records import CaptionedImage, Failure
from model_lib.bundle import load_bundle, read_bundle_info
from model_lib.captioner import Captioner
from model_lib.config import DecodeConfig
from model_lib.errors import BundleError
from tests.fresh_python import run_fresh
from tests.images import BROKEN_IMAGE_ERRORS, broken_images, good_images
from tests.toy import make_toy_bundle

GOOD = [EncodedImage(name, good_images()[name]) for name in ("rgb.jpg", "rgba.png", "lossy.webp")]
NO_PICTURE = Failure("rgba.png", "caption", "ValueError", "no such picture")
UNREAD = Failure("gone.jpg", "read", "FileNotFoundError", "gone.jpg")


class ChokingCaptioner:
    """A real captioner whose network cannot stand images of one format; keeps its batches."""

    def __init__(self, captioner, chokes_on, error=None):
        self.captioner, self.chokes_on = captioner, chokes_on
        self.error = error or ValueError("no such picture")
        self.batches = []

    def caption_prepared(self, images, decode, batch_size):
        self.batches.append((len(images), batch_size))
        if any(image.format == self.chokes_on for image in images):
            raise self.error
        return self.captioner.caption_prepared(images, decode, batch_size)


@pytest.fixture(scope="module")
def captioner(toy_bundle) -> Captioner:
    return load_bundle(toy_bundle)


def outcomes(handler, batch, captioner):
    results = list(handler.run_inference(batch, captioner))
    assert [result.example for result in results] == [image.uri for image in batch]
    assert {result.model_id for result in results} == {handler.info.fingerprint}
    return [result.inference for result in results]


def nearly(outcome):
    """An outcome that also equals one of another batch: some CPUs give other last digits then."""
    if isinstance(outcome, Failure):
        return outcome
    captions = [
        dataclasses.replace(
            caption,
            log_prob=pytest.approx(caption.log_prob, abs=1e-5),
            score=pytest.approx(caption.score, abs=1e-5),
        )
        for caption in outcome.captions
    ]
    return outcome._replace(captions=tuple(captions))


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


def test_a_batch_that_fails_is_halved_and_costs_the_guilty_row_only(toy_bundle, captioner):
    handler = CaptionModelHandler(toy_bundle, batch_size=8)
    jpegs = [image._replace(uri=f"{number}.jpg") for number, image in enumerate([GOOD[0]] * 7)]
    batch = [*jpegs[:5], GOOD[1], *jpegs[5:]]
    choking = ChokingCaptioner(captioner, "png")
    found = outcomes(handler, batch, choking)
    well = outcomes(handler, batch, captioner)
    assert found == [*map(nearly, well[:5]), NO_PICTURE, *map(nearly, well[6:])]
    # 8 -> 4 good, 4 bad -> 2 bad -> 1 good, 1 bad; 2 good. Always one shape, compiled once.
    assert choking.batches == [(size, 8) for size in (8, 4, 4, 2, 1, 1, 2)]


def test_several_guilty_images_are_all_found(toy_bundle, captioner):
    found = outcomes(
        CaptionModelHandler(toy_bundle),
        [GOOD[1], GOOD[0], GOOD[1]],
        ChokingCaptioner(captioner, "png"),
    )
    assert [type(item) for item in found] == [Failure, CaptionedImage, Failure]


def test_an_image_that_could_not_be_read_passes_through(toy_bundle, captioner):
    handler = CaptionModelHandler(toy_bundle)
    unread = Failure("gone.jpg", "read", "HttpStatusError", "404", 1, False, ("x", 3))
    found = outcomes(handler, [unread, GOOD[0], unread], captioner)
    assert found == [unread, *outcomes(handler, GOOD[:1], captioner), unread]
    assert outcomes(handler, [unread], None) == [unread]


def test_carried_values_reach_every_outcome(toy_bundle, captioner):
    handler = CaptionModelHandler(toy_bundle)
    values = (7, "seven", None)
    batch = [
        GOOD[0]._replace(carried=values),
        GOOD[1]._replace(carried=values),
        EncodedImage("empty.jpg", b"", values),
    ]
    found = outcomes(handler, batch, ChokingCaptioner(captioner, "png"))
    assert [(type(item), item.carried) for item in found] == [
        (CaptionedImage, values),
        (Failure, values),
        (Failure, values),
    ]


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError("refused"), EOFError(), BrokenPipeError()]
)
def test_where_the_shared_model_is_gone_no_image_is_to_blame(toy_bundle, captioner, error):
    lost = ChokingCaptioner(captioner, "jpeg", error)
    with pytest.raises(ModelLostError, match="does not answer"):
        CaptionModelHandler(toy_bundle).run_inference(GOOD, lost)
    assert len(lost.batches) == 1


def test_no_caption_at_all_is_a_failure(toy_bundle, captioner):
    class Silent:
        def caption_prepared(self, images, decode, batch_size):
            return [[] for _ in images]

    [failure] = outcomes(CaptionModelHandler(toy_bundle), GOOD[:1], Silent())
    assert (failure.stage, failure.error_type) == ("caption", "NoCaptionError")


@pytest.mark.parametrize(
    ("setting", "least", "most"),
    [({"precision": "float16"}, 1e-5, 0.06), ({"encoder_runtime": "onnxruntime"}, 1e-9, 1e-5)],
)
def test_what_the_encoder_runs_in_reaches_the_captioner(
    toy_bundle, captioner, setting, least, most
):
    handler = CaptionModelHandler(toy_bundle, **setting)
    other = handler.load_model()._captioner
    images = [captioner.preprocessor(image.data) for image in GOOD]
    expected = captioner.encode_prepared(images)
    difference = np.max(np.abs(other.encode_prepared(images) - expected)) / np.max(expected)
    assert least <= difference <= most


def test_metrics_and_sharing_are_as_set(toy_bundle):
    handler = CaptionModelHandler(toy_bundle, batch_size=7, share_model=True)
    assert handler.share_model_across_processes()
    assert handler.model_copies() == 1
    assert not CaptionModelHandler(toy_bundle).share_model_across_processes()
    assert handler.get_num_bytes([*GOOD, UNREAD]) == sum(len(image.data) for image in GOOD)
    assert handler.get_metrics_namespace() == "caption_images_model"
    with pytest.raises(ValueError, match="takes no inference_args"):
        handler.validate_inference_args({"seed": 1})


def batches_of(handler, elements) -> list[tuple[int, int]]:
    """What Beam makes of elements in one bundle: images and failures of each batch."""
    transform = beam.BatchElements(**handler.batch_elements_kwargs())
    batching = _GlobalWindowsBatchingDoFn(
        transform._batch_size_estimator, transform._element_size_fn
    )
    batching.start_bundle()
    found = [each for element in elements for each in batching.process(element)]
    found += batching.finish_bundle()
    return [
        (
            sum(isinstance(item, EncodedImage) for item in batch.value),
            sum(isinstance(item, Failure) for item in batch.value),
        )
        for batch in found
    ]


def test_a_batch_holds_its_images_however_many_failures_are_between(toy_bundle):
    handler = CaptionModelHandler(toy_bundle, batch_size=3)
    image = GOOD[0]
    assert batches_of(handler, [image] * 8) == [(3, 0), (3, 0), (2, 0)]
    assert batches_of(handler, [UNREAD, image, UNREAD] * 4) == [(3, 7), (1, 1)]
    assert batches_of(handler, [UNREAD] * 300) == [(0, 127), (0, 127), (0, 46)]
    assert batches_of(handler, [image, *[UNREAD] * 60, image, image]) == [(2, 60), (1, 0)]


def test_batches_are_made_so_in_a_pipeline(toy_bundle):
    handler = CaptionModelHandler(toy_bundle, batch_size=2)
    with beam.Pipeline("FnApiRunner") as pipeline:
        sizes = (
            pipeline
            | beam.Create([[*GOOD, UNREAD] * 3], reshuffle=False)
            | beam.FlatMap(list)
            | beam.BatchElements(**handler.batch_elements_kwargs())
            | beam.Map(len)
        )
        assert_that(sizes, equal_to([2, 3, 3, 2, 2]))


def test_a_handler_pickles_small_also_after_use(toy_bundle, captioner):
    handler = CaptionModelHandler(toy_bundle)
    outcomes(handler, GOOD, captioner)
    copy = pickle.loads(pickle.dumps(handler))
    assert len(pickle.dumps(handler)) < 10_000
    assert outcomes(copy, GOOD, captioner) == outcomes(handler, GOOD, captioner)


def test_the_model_that_is_loaded_must_be_the_one_the_job_started_with(tmp_path):
    path = make_toy_bundle(str(tmp_path / "b"))
    handler = CaptionModelHandler(path)
    assert isinstance(handler.load_model(), FittingCaptioner)
    make_toy_bundle(path, attention="multihead")
    with pytest.raises(BundleError, match="was replaced while the job ran"):
        handler.load_model()


def test_a_missing_bundle_is_noticed_when_the_handler_is_made(tmp_path):
    with pytest.raises(BundleError, match=r"bundle\.json"):
        CaptionModelHandler(str(tmp_path / "none"))


def test_a_relative_bundle_is_found_by_workers_in_another_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    make_toy_bundle(str(tmp_path / "here" / "b"))
    monkeypatch.chdir(tmp_path / "here")
    handler = CaptionModelHandler("b")
    monkeypatch.chdir(tmp_path)
    assert isinstance(handler.load_model(), FittingCaptioner)


def test_the_shipped_bundle_is_found_where_the_worker_has_the_package(toy_bundle, monkeypatch):
    monkeypatch.setattr(model_handler, "default_bundle_path", lambda: "/launcher/bundle")
    monkeypatch.setattr(model_handler, "read_bundle_info", lambda *_: read_bundle_info(toy_bundle))
    handler = CaptionModelHandler("/launcher/bundle")
    monkeypatch.setattr(model_handler, "default_bundle_path", lambda: toy_bundle)
    assert isinstance(pickle.loads(pickle.dumps(handler)).load_model(), FittingCaptioner)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86 only")
def test_a_worker_s_tensorflow_runs_with_onednn_and_shared_cores(toy_bundle):
    program = """
import os
os.cpu_count = lambda: 2
from beam_jobs.model_handler import CaptionModelHandler
CaptionModelHandler({bundle!r}).load_model()
import tensorflow as tf
from tensorflow.python.util import _pywrap_util_port
print(_pywrap_util_port.IsMklEnabled(), tf.config.threading.get_intra_op_parallelism_threads())
"""
    assert run_fresh(program.format(bundle=toy_bundle), {}).stdout == "True 1\n"
