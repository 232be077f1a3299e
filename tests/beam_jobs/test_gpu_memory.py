import logging
import subprocess
import sys

import pytest
import tensorflow as tf

from beam_jobs.gpu_memory import FittingCaptioner, allow_memory_growth, is_out_of_memory
from model_lib.bundle import load_bundle
from model_lib.config import DecodeConfig
from tests.images import good_images

DATA = [good_images()[name] for name in ("rgb.jpg", "rgb.png", "rgb.bmp", "rgba.png", "grey.jpg")]
DECODE = DecodeConfig(method="beam", num_captions=2, max_length_tokens=6)


class SmallDevice:
    """A real captioner on a device that has room for so many images."""

    def __init__(self, captioner, room):
        self.captioner, self.room, self.sizes = captioner, room, []

    def caption_prepared(self, images, decode, batch_size):
        self.sizes.append(batch_size)
        if batch_size > self.room:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return self.captioner.caption_prepared(images, decode, batch_size)


@pytest.fixture(scope="module")
def captioner(toy_bundle):
    return load_bundle(toy_bundle)


@pytest.fixture(scope="module")
def images(captioner):
    return [captioner.preprocessor(data) for data in DATA]


def test_a_batch_that_does_not_fit_is_halved_until_it_does(captioner, images, caplog):
    device = SmallDevice(captioner, room=2)
    fitting = FittingCaptioner(device)
    with caplog.at_level(logging.WARNING):
        found = fitting.caption_prepared(images, DECODE, 16)
    assert device.sizes == [16, 8, 4, 2]
    assert found == captioner.caption_prepared(images, DECODE, 2)
    assert [record.getMessage() for record in caplog.records] == [
        f"not enough memory for a batch of {size * 2} images (ResourceExhaustedError: OOM when "
        f"allocating tensor): going on with {size} at a time"
        for size in (8, 4, 2)
    ]


def test_the_size_that_fitted_is_kept_and_does_not_grow(captioner, images, caplog):
    device = SmallDevice(captioner, room=2)
    fitting = FittingCaptioner(device)
    fitting.caption_prepared(images, DECODE, 4)
    device.room, device.sizes = 100, []
    caplog.clear()
    fitting.caption_prepared(images, DECODE, 4)
    fitting.caption_prepared(images[:1], DECODE, 1)
    assert device.sizes == [2, 1]
    assert caplog.records == []


def test_one_image_that_does_not_fit_is_an_error(captioner, images):
    device = SmallDevice(captioner, room=0)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        FittingCaptioner(device).caption_prepared(images, DECODE, 5)
    assert device.sizes == [5, 2, 1]


def test_another_error_shrinks_nothing(captioner, images):
    class Broken(SmallDevice):
        def caption_prepared(self, images, decode, batch_size):
            self.sizes.append(batch_size)
            raise ValueError("shapes do not match")

    device = Broken(captioner, room=9)
    with pytest.raises(ValueError, match="shapes"):
        FittingCaptioner(device).caption_prepared(images, DECODE, 4)
    assert device.sizes == [4]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        tf.errors.ResourceExhaustedError(None, None, "failed to allocate"),
        tf.errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
        tf.errors.UnknownError(None, None, "CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_out_of_memory_has_many_names(error):
    assert is_out_of_memory(error)


def test_other_errors_are_not_taken_for_it():
    assert not is_out_of_memory(ValueError("no room for a view"))
    assert not is_out_of_memory(tf.errors.InvalidArgumentError(None, None, "bad shape"))


def test_memory_growth_is_asked_of_every_gpu_and_a_late_call_is_logged(monkeypatch, caplog):
    # There is no GPU here: TensorFlow's two functions are the border.
    gpus = [tf.config.PhysicalDevice(f"/physical_device:GPU:{n}", "GPU") for n in (0, 1)]
    grown = []

    def set_growth(device, enable):
        grown.append((device.name, enable))
        if device is gpus[1]:
            raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", set_growth)
    allow_memory_growth()
    assert grown == [("/physical_device:GPU:0", True), ("/physical_device:GPU:1", True)]
    [record] = caplog.records
    assert record.getMessage() == (
        "/physical_device:GPU:1: memory growth stays as it is: "
        "Physical devices cannot be modified after being initialized"
    )


def test_asking_for_memory_growth_is_harmless_without_a_gpu():
    allow_memory_growth()


def test_importing_it_loads_no_tensorflow():
    program = "import sys, beam_jobs.gpu_memory; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
