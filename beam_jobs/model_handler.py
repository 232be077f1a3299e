"""The captioner inside Beam's RunInference: encoded images in, captions or a failure for each.

One result comes back for each image, whatever happens: an image that cannot be decoded is left
out of its batch, and a batch that fails in the model is tried again image by image, so that one
bad image costs one row. The encoded bytes end here; results carry the URI instead.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from beam_jobs import storage
from beam_jobs.counters import NAMESPACE
from beam_jobs.records import CaptionedImage, Failure
from model_lib.bundle import load_bundle, read_bundle_info
from model_lib.config import DecodeConfig
from model_lib.errors import BundleError, CaptioningError

if TYPE_CHECKING:
    from model_lib.captioner import Caption, Captioner
    from model_lib.preprocessing import PreparedImage, Preprocessor


class EncodedImage(NamedTuple):
    """An image as read: what names it, and its encoded bytes."""

    uri: str
    data: bytes


class NoCaptionError(CaptioningError):
    """The model found no caption for an image."""


class CaptionModelHandler(ModelHandler[EncodedImage, PredictionResult, "Captioner"]):
    """Loads a bundle once a worker and captions batches with it."""

    def __init__(
        self,
        bundle: str,
        decode: DecodeConfig | None = None,
        batch_size: int = 32,
        share_model: bool = False,
    ) -> None:
        """Reads what the bundle says of itself, without its weights.

        Args:
            bundle: folder of the bundle, on any file system that Beam knows.
            decode: how captions are drawn; by default as the bundle says.
            batch_size: most images in one run of the model.
            share_model: one copy of the model for all worker processes of a machine, which
                costs a transfer of pixels between processes.

        Raises:
            BundleError: where there is no bundle.
        """
        super().__init__(
            min_batch_size=batch_size, max_batch_size=batch_size, large_model=share_model
        )
        self.bundle = bundle
        self.info = read_bundle_info(bundle, storage.open_read)
        self.decode = decode or self.info.decode
        self.batch_size = batch_size
        self._preprocessor: Preprocessor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leaves behind what a worker makes for itself."""
        return {**self.__dict__, "_preprocessor": None}

    def load_model(self) -> "Captioner":
        """Loads the captioner.

        Raises:
            BundleError: where the bundle is damaged, or another than when the job started.
        """
        captioner = load_bundle(self.bundle, storage.open_read)
        if captioner.info.fingerprint != self.info.fingerprint:
            raise BundleError(
                f"{self.bundle}: was replaced while the job ran: fingerprint "
                f"{captioner.info.fingerprint}, not {self.info.fingerprint}; start the job again"
            )
        return captioner

    def run_inference(
        self,
        batch: Sequence[EncodedImage],
        model: "Captioner",
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[PredictionResult]:
        """Captions a batch.

        Args:
            batch: encoded images.
            model: the captioner, or a proxy of it in another process.
            inference_args: none are taken.

        Returns:
            For each image, in order, its URI with a `CaptionedImage` or a `Failure`.
        """
        prepared = [self._prepare(image) for image in batch]
        good = [item for item in prepared if not isinstance(item, Failure)]
        captioned = iter(self._caption(model, good))
        return [
            PredictionResult(
                image.uri,
                item if isinstance(item, Failure) else _outcome(image, item, next(captioned)),
                self.info.fingerprint,
            )
            for image, item in zip(batch, prepared, strict=True)
        ]

    def get_num_bytes(self, batch: Sequence[EncodedImage]) -> int:
        """Returns the encoded bytes of a batch."""
        return sum(len(image.data) for image in batch)

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

    def _prepare(self, image: EncodedImage) -> "PreparedImage | Failure":
        if self._preprocessor is None:
            from model_lib.preprocessing import Preprocessor

            self._preprocessor = Preprocessor(self.info.preprocess)
        try:
            return self._preprocessor(image.data)
        # The record boundary: whatever one image's bytes cause is that image's failure.
        except Exception as error:
            return Failure.from_error(image.uri, "decode", error)

    def _caption(
        self, model: "Captioner", images: "Sequence[PreparedImage]"
    ) -> "list[list[Caption] | Exception]":
        """Captions images together, or one by one where that fails."""
        if not images:
            return []
        try:
            return list(model.caption_prepared(images, self.decode, self.batch_size))
        # The record boundary: the image whose caption fails alone is the guilty one.
        except Exception as error:
            if len(images) == 1:
                return [error]
            return [outcome for image in images for outcome in self._caption(model, [image])]


def _outcome(
    image: EncodedImage, prepared: "PreparedImage", captions: "list[Caption] | Exception"
) -> CaptionedImage | Failure:
    if isinstance(captions, Exception):
        return Failure.from_error(image.uri, "caption", captions)
    if not captions:
        error = NoCaptionError("the model found no caption; allow longer or fewer captions")
        return Failure.from_error(image.uri, "caption", error)
    return CaptionedImage(
        uri=image.uri,
        image_sha256=prepared.sha256,
        captions=tuple(captions),
        width=prepared.width,
        height=prepared.height,
        format=prepared.format,
        size_bytes=len(image.data),
    )
