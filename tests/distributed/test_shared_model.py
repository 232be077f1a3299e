"""One copy of the model for several worker processes, and what happens when it is gone."""

import multiprocessing
import os
import uuid
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.utils.multi_process_shared import MultiProcessShared

from beam_jobs.image_decoder import EncodedImage
from beam_jobs.model_handler import CaptionModelHandler, ModelLostError
from model_lib.bundle import load_bundle
from tests.images import good_images

pytestmark = pytest.mark.slow

ROOT = str(Path(__file__).resolve().parents[2])
IMAGES = [EncodedImage(name, data) for name, data in good_images().items()]


class CountingHandler(CaptionModelHandler):
    """Notes every loading of the model, and which process captions, in a file each."""

    def __init__(self, folder: str, *arguments: object, **settings: object) -> None:
        super().__init__(*arguments, **settings)
        self.folder = folder

    def note(self, what: str) -> None:
        (Path(self.folder) / f"{what}-{os.getpid()}-{uuid.uuid4().hex}").touch()

    def load_model(self):
        self.note("load")
        return super().load_model()

    def run_inference(self, batch, model, inference_args=None):
        self.note("caption")
        return super().run_inference(batch, model, inference_args)


def noted(folder: Path, what: str) -> list[int]:
    return [int(path.name.split("-")[1]) for path in folder.glob(f"{what}-*")]


@pytest.mark.parametrize("share_model", [True, False])
def test_worker_processes_share_one_copy_where_asked_to(
    toy_bundle, tmp_path, monkeypatch, share_model
):
    monkeypatch.setenv("PYTHONPATH", ROOT)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    handler = CountingHandler(str(tmp_path), toy_bundle, batch_size=4, share_model=share_model)
    captioner = load_bundle(toy_bundle)
    expected = [
        (image.uri, caption[0].text)
        for image, caption in zip(
            IMAGES, captioner.caption_bytes([image.data for image in IMAGES]), strict=True
        )
    ]
    options = PipelineOptions(
        runner="FnApiRunner", direct_num_workers=2, direct_running_mode="multi_processing"
    )
    with beam.Pipeline(options=options) as pipeline:
        found = (
            pipeline
            | beam.Create(IMAGES, reshuffle=True)
            | RunInference(handler)
            | beam.Map(lambda result: (result.example, result.inference.captions[0].text))
        )
        assert_that(found, equal_to(expected))
    captioning = set(noted(tmp_path, "caption"))
    assert len(captioning) == 2
    loading = noted(tmp_path, "load")
    assert len(loading) == (1 if share_model else 2)
    assert set(loading) <= captioning


@pytest.fixture
def shared(toy_bundle, tmp_path):
    """A handler, and its model in a process of its own."""
    handler = CaptionModelHandler(toy_bundle, batch_size=4, share_model=True)
    before = set(multiprocessing.active_children())
    model = MultiProcessShared(
        handler.load_model,
        uuid.uuid4().hex,
        path=str(tmp_path),
        always_proxy=True,
        spawn_process=True,
    ).acquire()
    [process] = set(multiprocessing.active_children()) - before
    yield handler, model, process
    process.kill()
    process.join()


def test_pixels_go_to_the_process_that_holds_the_model_and_captions_come_back(shared):
    handler, model, _ = shared
    own = handler.load_model()
    found = list(handler.run_inference([*IMAGES, EncodedImage("empty.jpg", b"")], model))
    assert found == list(handler.run_inference([*IMAGES, EncodedImage("empty.jpg", b"")], own))
    assert found[-1].inference.error_type == "EmptyImageError"


def test_where_that_process_dies_no_image_is_blamed(shared):
    handler, model, process = shared
    process.kill()
    process.join()
    with pytest.raises(ModelLostError, match="the engine tries the batch again"):
        handler.run_inference(IMAGES, model)
