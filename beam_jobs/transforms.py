r"""`CaptionImages`, the transform that other pipelines can use, and its steps.

    URIs, or (key, bytes) -> ReadImageBytes -> RunInference -> rows of captions
                                   \------------- \---------> rows of failures

Every element that goes in comes out as exactly one row. Between steps go URIs and encoded bytes,
never pixels.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.ml.inference.base import PredictionResult, RunInference
from apache_beam.pvalue import PCollection

from beam_jobs import records
from beam_jobs.config import FetchConfig
from beam_jobs.counters import BYTES_READ, CAPTIONS, count, count_failure
from beam_jobs.fetching.fetcher import Fetcher, FetchFailedError
from beam_jobs.model_handler import CaptionModelHandler, EncodedImage
from beam_jobs.progress import ProgressSender
from beam_jobs.records import Failure, Row, RunStamp
from model_lib.config import DecodeConfig

FAILURES_TAG = "failures"


class CaptionResults(NamedTuple):
    """What `CaptionImages` gives: rows of `records.CAPTIONS` and of `records.FAILURES`."""

    captions: PCollection[Row]
    failures: PCollection[Row]


class CaptionImages(beam.PTransform[Any, Any]):
    """Captions images: PCollection of URIs, or of (key, encoded bytes) -> `CaptionResults`.

    Every element becomes one row of one of the two. Elements are taken as they are: equal URIs
    give equal rows, so put `beam.Distinct()` before where that is not wanted.

    Example:
        captions, failures = pipeline | beam.Create(["cat.jpg"]) | CaptionImages(bundle)
    """

    def __init__(
        self,
        bundle: str,
        *,
        decode: DecodeConfig | None = None,
        batch_size: int = 32,
        share_model: bool = False,
        fetch: FetchConfig | None = None,
        run_id: str = "",
        progress: ProgressSender | None = None,
    ) -> None:
        """Reads the bundle's description; its weights are loaded in the workers.

        Args:
            bundle: folder of the bundle, on any file system that Beam knows.
            decode: how captions are drawn; by default as the bundle says.
            batch_size: most images in one run of the model; does not change the captions.
            share_model: one copy of the model for all worker processes of a machine.
            fetch: time and size limits of reading; unused for elements that bring their bytes.
            run_id: goes into every row.
            progress: where to report how far the work is; nowhere by default.

        Raises:
            BundleError: where there is no bundle.
        """
        super().__init__()
        self._handler = CaptionModelHandler(bundle, decode, batch_size, share_model)
        self._fetch = fetch or FetchConfig()
        self._progress = progress or ProgressSender()
        self._stamp = RunStamp(
            run_id=run_id,
            model_name=self._handler.info.name,
            model_fingerprint=self._handler.info.fingerprint,
            decode_config=self._handler.decode.to_json(),
        )

    def expand(self, inputs: PCollection[Any]) -> Any:
        """Builds the steps and returns `CaptionResults` (Beam warns of such an annotation)."""
        read = inputs | "ReadImageBytes" >> beam.ParDo(ReadImageBytes(self._fetch)).with_outputs(
            FAILURES_TAG, main="images"
        )
        captioned = (
            read.images
            | "Caption" >> RunInference(self._handler)
            | "CaptionRows"
            >> beam.ParDo(MakeRows(self._stamp, self._progress)).with_outputs(
                FAILURES_TAG, main="captions"
            )
        )
        unread = read[FAILURES_TAG] | "FailureRows" >> beam.ParDo(
            MakeRows(self._stamp, self._progress)
        ).with_outputs(FAILURES_TAG, main="captions")
        failures = (captioned[FAILURES_TAG], unread[FAILURES_TAG]) | beam.Flatten()
        return CaptionResults(captioned.captions, failures)


class ReadImageBytes(beam.DoFn):
    """A URI, or a (key, bytes) pair, -> `EncodedImage`; a `Failure` to output `failures`."""

    def __init__(self, fetch: FetchConfig) -> None:
        """Keeps the limits of reading."""
        self._config = fetch
        self._fetcher: Fetcher

    def setup(self) -> None:
        """Makes the fetcher, whose connections last as long as the worker."""
        self._fetcher = Fetcher(self._config)

    def teardown(self) -> None:
        """Closes the connections."""
        self._fetcher.close()

    def process(self, element: str | tuple[str, bytes]) -> Iterable[Any]:
        """Reads one image."""
        if not isinstance(element, str):
            yield EncodedImage(*element)
            return
        try:
            data = self._fetcher.fetch(element)
        except FetchFailedError as failed:
            error = failed.__cause__ or failed
            yield beam.pvalue.TaggedOutput(
                FAILURES_TAG, Failure.from_error(element, "read", error, failed.attempts)
            )
            return
        count(BYTES_READ, len(data))
        yield EncodedImage(element, data)


class MakeRows(beam.DoFn):
    """An outcome -> its row: captions to the main output, failures to output `failures`."""

    def __init__(self, stamp: RunStamp, progress: ProgressSender) -> None:
        """Keeps what every row carries, and where to report."""
        self._stamp = stamp
        self._progress = progress

    def process(self, outcome: PredictionResult | Failure) -> Iterable[Any]:
        """Makes and counts one row."""
        result: Any = outcome.inference if isinstance(outcome, PredictionResult) else outcome
        if isinstance(result, Failure):
            count_failure(result)
            self._progress.add(done=1, failed=1)
            row = records.failure_row(result, self._stamp.run_id, records.utc_now())
            yield beam.pvalue.TaggedOutput(FAILURES_TAG, row)
        else:
            count(CAPTIONS)
            self._progress.add(done=1)
            yield records.caption_row(result, self._stamp, records.utc_now())

    def finish_bundle(self) -> None:
        """Reports what is not reported yet."""
        self._progress.flush()
