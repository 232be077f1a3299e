"""The captioner inside Beam's RunInference: encoded images in, captions or a failure for each.

One result comes back for each element, whatever happens: an image that could not be read arrives
as its `Failure` and passes through, one that cannot be decoded is left out of its batch, and a
batch that fails in the model is halved and tried again, so that one bad image costs one row. The
encoded bytes end here; results carry the URI instead.

Where worker processes share a model, images are decoded in the process that read them, and uint8
pixels go to the process that holds it. Where that one is gone, the batch is not to blame:
`ModelLostError` lets the engine try it again.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from beam_jobs import storage
from beam_jobs.batch_trial import LARGEST, find_batch_size
from beam_jobs.counters import (
    BATCH_IMAGES,
    CAPTION_MS,
    NAMESPACE,
    observe,
    observe_peak_memory,
)
from beam_jobs.gpu_memory import FittingCaptioner, allow_memory_growth
from beam_jobs.image_decoder import EncodedImage, ImageDecoder
from beam_jobs.records import CaptionedImage, Failure
from model_lib.bundle import default_bundle_path, load_bundle, read_bundle_info
from model_lib.collecting import collection_paused
from model_lib.config import DEFAULT_BATCH_SIZE, DecodeConfig, EncoderRuntime, Precision
from model_lib.errors import BundleError, CaptioningError
from model_lib.quiet_tensorflow import load_tensorflow_as_told

if TYPE_CHECKING:
    from model_lib.caption import Caption
    from model_lib.captioner import Captioner
    from model_lib.preprocessing import PreparedImage

logger = logging.getLogger(__name__)

# In a batch an image weighs as much as so many failures, which hold a URI and a message only.
IMAGE_WEIGHT = 32


Element = EncodedImage | Failure


class NoCaptionError(CaptioningError):
    """The model found no caption for an image."""


class ModelLostError(CaptioningError):
    """The process that held the shared model is gone."""


class CaptionModelHandler(ModelHandler[Element, PredictionResult, FittingCaptioner]):
    """Loads a bundle once a worker and captions batches with it."""

    def __init__(
        self,
        bundle: str,
        decode: DecodeConfig | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        share_model: bool = False,
        precision: Precision = "float32",
        encoder_runtime: EncoderRuntime = "tensorflow",
    ) -> None:
        """Reads what the bundle says of itself, without its weights.

        Args:
            bundle: folder of the bundle, on any file system that Beam knows.
            decode: how captions are drawn; by default as the bundle says.
            batch_size: most images in one run of the model; 0 to find it by trial when the model
                is loaded.
            share_model: one copy of the model for all worker processes of a machine, which
                costs a transfer of pixels between processes.
            precision: of the encoder's arithmetic.
            encoder_runtime: what runs the encoder.

        Raises:
            BundleError: where there is no bundle.
        """
        super().__init__(large_model=share_model)
        self.bundle = bundle
        # Workers may start in another folder, and have the package itself in another place.
        self._folder = None if bundle == default_bundle_path() else _absolute(bundle)
        self.info = read_bundle_info(bundle, storage.open_read)
        self.decode = decode or self.info.decode
        self.batch_size = batch_size
        self.precision = precision
        self.encoder_runtime = encoder_runtime
        self._decoder: ImageDecoder | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leaves behind what a worker makes for itself."""
        return {**self.__dict__, "_decoder": None}

    @property
    def most_in_batch(self) -> int:
        """Most images of a batch, also where the size is found by trial."""
        return self.batch_size or LARGEST

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """Returns how batches are made: `batch_size` images, failures on top.

        Beam's own metrics of this would count weights, so they are off.
        """
        weight = self.most_in_batch * IMAGE_WEIGHT + IMAGE_WEIGHT - 1
        return {
            "min_batch_size": weight,
            "max_batch_size": weight,
            "element_size_fn": element_weight,
            "record_metrics": False,
        }

    def load_model(self) -> FittingCaptioner:
        """Loads the captioner.

        Raises:
            BundleError: where the bundle is damaged, or another than when the job started.
        """
        load_tensorflow_as_told()
        with collection_paused():
            from model_lib.cores import share_cores

            allow_memory_growth()
            share_cores(self.batch_size or DEFAULT_BATCH_SIZE)
            captioner = load_bundle(
                self._folder or default_bundle_path(),
                storage.open_read,
                self.precision,
                self.encoder_runtime,
            )
        if captioner.info.fingerprint != self.info.fingerprint:
            raise BundleError(
                f"{self.bundle}: was replaced while the job ran: fingerprint "
                f"{captioner.info.fingerprint}, not {self.info.fingerprint}; start the job again"
            )
        logger.info("loaded a copy of %s (%s)", self.info.name, self.info.fingerprint[:12])
        fitting = FittingCaptioner(captioner)
        if not self.batch_size:
            fitting.choose(self._find_batch_size(captioner))
        return fitting

    def _find_batch_size(self, captioner: "Captioner") -> int:
        from model_lib.preprocessing import PreparedImage

        side = self.info.preprocess.image_size
        blank = PreparedImage(np.zeros((side, side, 3), np.uint8), side, side, "png", "0" * 64)

        def run(size: int) -> None:
            captioner.caption_prepared([blank] * size, self.decode, size)

        size = find_batch_size(run)
        logger.info("batches of %d images from now on", size)
        return size

    def run_inference(
        self,
        batch: Sequence[Element],
        model: FittingCaptioner,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[PredictionResult]:
        """Captions a batch.

        Args:
            batch: encoded images, and failures of those that could not be read.
            model: the captioner, or a proxy of it in another process.
            inference_args: none are taken.

        Returns:
            For each element, in order, its URI with a `CaptionedImage` or a `Failure`.

        Raises:
            ModelLostError: where the process that holds a shared model is gone.
        """
        prepared = self._decode_batch(batch)
        good = [item for item in prepared if not isinstance(item, Failure)]
        captioned = iter(self._timed_caption_batch(model, good))
        fingerprint = self.info.fingerprint  # computed anew each time it is asked for
        return [
            PredictionResult(element.uri, _outcome(element, item, captioned), fingerprint)
            for element, item in zip(batch, prepared, strict=True)
        ]

    def get_num_bytes(self, batch: Sequence[Element]) -> int:
        """Returns the encoded bytes of a batch."""
        return sum(len(item.data) for item in batch if isinstance(item, EncodedImage))

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of Beam's own metrics of this step."""
        return f"{NAMESPACE}_model"

    def validate_inference_args(self, inference_args: Mapping[str, Any] | None) -> None:
        """Refuses arguments: all settings are given to the constructor.

        Raises:
            ValueError: where there are any.
        """
        if inference_args:
            raise ValueError(f"CaptionModelHandler takes no inference_args, got {inference_args}")

    def _decode_batch(self, batch: Sequence[Element]) -> "list[PreparedImage | Failure]":
        if self._decoder is None:
            self._decoder = ImageDecoder(self.info.preprocess)
        return self._decoder.decode(batch)

    def _timed_caption_batch(
        self, model: FittingCaptioner, images: "Sequence[PreparedImage]"
    ) -> "list[list[Caption] | Exception]":
        """Captions images and notes how long that took, and with how much memory."""
        if not images:
            return []
        started_secs = time.monotonic()
        outcomes = self._caption_batch(model, images)
        observe(CAPTION_MS, (time.monotonic() - started_secs) * 1000)
        observe(BATCH_IMAGES, len(images))
        observe_peak_memory()
        return outcomes

    def _caption_batch(
        self, model: FittingCaptioner, images: "Sequence[PreparedImage]"
    ) -> "list[list[Caption] | Exception]":
        """Captions images together; halves of them where that fails, down to one image."""
        try:
            return list(model.caption_prepared(images, self.decode, self.batch_size))
        except (OSError, EOFError) as error:
            # The network reads no file and no socket: this is the way to another process.
            raise ModelLostError(
                f"the process that holds the shared model does not answer ({error!r}); the engine "
                "tries the batch again, or start the job again with --resume"
            ) from error
        # The record boundary: the image whose caption fails alone is the guilty one.
        except Exception as error:
            if len(images) == 1:
                return [error]
            middle = len(images) // 2
            halves = (images[:middle], images[middle:])
            return [outcome for half in halves for outcome in self._caption_batch(model, half)]


def _absolute(folder: str) -> str:
    path = storage.plain_path(folder)
    return path if "://" in path else os.path.abspath(path)


def element_weight(element: Element) -> int:
    """Returns what an element counts for in a batch."""
    return IMAGE_WEIGHT if isinstance(element, EncodedImage) else 1


def _outcome(
    element: Element,
    prepared: "PreparedImage | Failure",
    captioned: "Iterator[list[Caption] | Exception]",
) -> CaptionedImage | Failure:
    """Returns what became of an element; takes the next captions where it was captioned."""
    if isinstance(element, Failure):
        return element
    if isinstance(prepared, Failure):
        return prepared
    captions = next(captioned)
    if not captions:
        captions = NoCaptionError("the model found no caption; allow longer or fewer captions")
    if isinstance(captions, Exception):
        return Failure.from_error(element.uri, "caption", captions, carried=element.carried)
    return CaptionedImage(
        uri=element.uri,
        image_sha256=prepared.sha256,
        captions=tuple(captions),
        width=prepared.width,
        height=prepared.height,
        format=prepared.format,
        size_bytes=len(element.data),
        carried=element.carried,
    )
