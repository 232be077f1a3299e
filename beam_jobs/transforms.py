r"""`CaptionImages`, the transform that other pipelines can use, and its steps.

    inputs -> ReadImages -> RunInference -> MakeRows -> (table, row)

Every element that goes in comes out as exactly one row. An image that cannot be read goes the
same way as a `Failure`: a second path, joined again, would hold rows back until all are read.
Between steps go URIs and encoded bytes, never pixels.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.ml.inference.base import PredictionResult, RunInference
from apache_beam.pvalue import PCollection
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from beam_jobs import records
from beam_jobs.config import RAW, CaptionStyle, FetchConfig
from beam_jobs.counters import (
    BYTES_READ,
    CAPTIONS,
    IMAGES_READ,
    READ_MS,
    count,
    count_failure,
    observe,
    observe_peak_memory,
)
from beam_jobs.fetching.read_pool import MAX_AHEAD, ReadPool, ReadResult
from beam_jobs.image_decoder import EncodedImage
from beam_jobs.inputs.rows import InputRow
from beam_jobs.model_handler import CaptionModelHandler
from beam_jobs.progress import ProgressSender
from beam_jobs.records import Failure, Row, RunStamp
from model_lib.config import DEFAULT_BATCH_SIZE, DecodeConfig, EncoderRuntime, Precision

FAILURES_TAG = "failures"
TaggedRow = tuple[str, Row]


class CaptionResults(NamedTuple):
    """What `CaptionImages` gives: rows of `records.CAPTIONS` and of `records.FAILURES`."""

    captions: PCollection[Row]
    failures: PCollection[Row]


class CaptionRows(beam.PTransform[Any, Any]):
    """Inputs -> PCollection of (table's name, row): `CaptionImages` before it is split in two."""

    def __init__(
        self,
        bundle: str,
        *,
        decode: DecodeConfig | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        share_model: bool = False,
        precision: Precision = "float32",
        encoder_runtime: EncoderRuntime = "tensorflow",
        fetch: FetchConfig | None = None,
        run_id: str = "",
        style: CaptionStyle = RAW,
        carried_columns: Sequence[str] = (),
        progress: ProgressSender | None = None,
    ) -> None:
        """Reads the bundle's description; its weights are loaded in the workers.

        Args:
            bundle: folder of the bundle, on any file system that Beam knows.
            decode: how captions are drawn; by default as the bundle says.
            batch_size: most images in one run of the model; does not change the captions.
            share_model: one copy of the model for all worker processes of a machine.
            precision: of the encoder's arithmetic; 16 bits are for GPUs, bfloat16 for CPUs with
                AMX or AVX-512's bfloat16 as well.
            encoder_runtime: what runs the encoder; `onnxruntime` is faster on CPUs.
            fetch: time and size limits of reading; unused for elements that bring their bytes.
            run_id: goes into every row.
            style: what rows say beside the raw caption.
            carried_columns: names of the values that an `InputRow` carries.
            progress: where to report how far the work is; nowhere by default.

        Raises:
            BundleError: where there is no bundle.
        """
        super().__init__()
        self._handler = CaptionModelHandler(
            bundle, decode, batch_size, share_model, precision, encoder_runtime
        )
        self._fetch = fetch or FetchConfig()
        self._style = style
        self._progress = progress or ProgressSender()
        self._carried_columns = tuple(carried_columns)
        self._stamp = RunStamp(
            run_id=run_id,
            model_name=self._handler.info.name,
            model_fingerprint=self._handler.info.fingerprint,
            decode_config=self._handler.decode.to_json(),
            score_temperature=self._handler.info.score_temperature,
        )

    def expand(self, inputs: PCollection[Any]) -> PCollection[TaggedRow]:
        """Builds the steps."""
        rows: PCollection[TaggedRow] = (
            inputs
            | "ReadImages" >> beam.ParDo(ReadImages(self._fetch, self._handler.most_in_batch))
            | "Caption" >> RunInference(self._handler)
            | "MakeRows"
            >> beam.ParDo(MakeRows(self._stamp, self._progress, self._carried_columns, self._style))
        )
        return rows


class CaptionImages(CaptionRows):
    """Captions images -> `CaptionResults`. Takes the arguments of `CaptionRows`.

    Elements are URIs, pairs of key and encoded bytes, or `InputRow`s. Every element becomes one
    row of one of the two. Elements are taken as they are: equal URIs give equal rows, so put
    `beam.Distinct()` before where that is not wanted.

    Example:
        captions, failures = pipeline | beam.Create(["cat.jpg"]) | CaptionImages(bundle)
    """

    def expand(self, inputs: PCollection[Any]) -> Any:
        """Builds the steps and returns `CaptionResults` (Beam warns of such an annotation)."""
        split = super().expand(inputs) | "Split" >> beam.ParDo(_split).with_outputs(
            FAILURES_TAG, main="captions"
        )
        return CaptionResults(split.captions, split[FAILURES_TAG])


class ReadImages(beam.DoFn):
    """An input -> `EncodedImage`, or a `Failure` where it cannot be read; in the order given.

    Inputs are URIs, (key, bytes) pairs and `InputRow`s. Reads go on in threads while earlier
    images are captioned.
    """

    def __init__(self, fetch: FetchConfig, most_in_batch: int) -> None:
        """Keeps the limits of reading; a whole batch, at least, is read ahead."""
        self._config = fetch
        self._max_ahead = max(most_in_batch, MAX_AHEAD)
        self._pool: ReadPool

    def setup(self) -> None:
        """Makes the threads, whose connections last as long as the worker."""
        self._pool = ReadPool(self._config, self._max_ahead)

    def teardown(self) -> None:
        """Ends the threads."""
        self._pool.close()

    def start_bundle(self) -> None:
        """Drops what a bundle that failed left behind."""
        self._pool.discard()

    def process(self, element: "str | tuple[str, bytes] | InputRow") -> Iterable[Any]:
        """Begins to read one image; gives those that have come."""
        if isinstance(element, InputRow):
            row = element
        elif isinstance(element, str):
            row = InputRow(element)
        else:
            yield EncodedImage(*element)
            return
        if row.problem is not None:
            yield Failure(row.uri, "read", *row.problem, carried=row.carried)
            return
        yield from map(_outcome, self._pool.submit(row))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Gives the images that are still being read."""
        for result in self._pool.drain():
            yield WindowedValue(_outcome(result), MIN_TIMESTAMP, (GlobalWindow(),))
        observe_peak_memory()


def _outcome(result: ReadResult) -> EncodedImage | Failure:
    observe(READ_MS, result.secs * 1000)
    if result.error is not None:
        error = result.error.__cause__ or result.error
        return Failure.from_error(
            result.row.uri,
            "read",
            error,
            result.error.attempts,
            result.error.transient,
            result.row.carried,
        )
    data = result.data or b""
    count(IMAGES_READ)
    count(BYTES_READ, len(data))
    return EncodedImage(result.row.uri, data, result.row.carried)


class MakeRows(beam.DoFn):
    """An outcome -> (name of its table, its row)."""

    def __init__(
        self,
        stamp: RunStamp,
        progress: ProgressSender,
        carried_columns: Sequence[str] = (),
        style: CaptionStyle = RAW,
    ) -> None:
        """Keeps what every row carries, and where to report."""
        self._stamp = stamp
        self._progress = progress
        self._carried = carried_columns
        self._style = style

    def process(self, outcome: PredictionResult | Failure) -> Iterable[TaggedRow]:
        """Makes and counts one row."""
        result: Any = outcome.inference if isinstance(outcome, PredictionResult) else outcome
        now = records.utc_now()
        if isinstance(result, Failure):
            count_failure(result)
            self._progress.add(done=1, failed=1)
            row = records.failure_row(result, self._stamp.run_id, now, self._carried)
            yield records.FAILURES.name, row
        else:
            count(CAPTIONS)
            self._progress.add(done=1)
            row = records.caption_row(result, self._stamp, now, self._carried, self._style)
            yield records.CAPTIONS.name, row

    def finish_bundle(self) -> None:
        """Reports what is not reported yet."""
        self._progress.flush()


def _split(tagged: TaggedRow) -> Iterator[Any]:
    name, row = tagged
    yield row if name == records.CAPTIONS.name else beam.pvalue.TaggedOutput(FAILURES_TAG, row)
