"""How fast images are read and captioned here: a short run without Beam, on a sample.

Takes some input rows and the job's settings; gives counts and times. Reading and captioning go on
at the same time, as in the job, through the same `ReadPool` and `CaptionModelHandler`. A read is
tried once, and reading stops after `LIMIT_SECS`, so that a dead server does not hold up everything.
"""

import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence

from beam_jobs import storage
from beam_jobs.config import FetchConfig, JobConfig
from beam_jobs.fetching.read_pool import ReadPool, ReadResult
from beam_jobs.image_decoder import EncodedImage
from beam_jobs.inputs.rows import InputRow
from beam_jobs.model_handler import CaptionModelHandler
from beam_jobs.records import Failure
from model_lib.bundle import default_bundle_path, read_bundle_info

LIMIT_SECS = 60.0
READ_SECS = 10.0


@dataclasses.dataclass(frozen=True)
class Reading:
    """What reading a sample gave.

    Attributes:
        images: rows looked at.
        unreadable: of these, bad rows and images that could not be read.
        mean_bytes: mean size of the others.
        first_error: why the first of the unreadable ones was; empty where there is none.
    """

    images: int
    unreadable: int
    mean_bytes: float
    first_error: str

    @property
    def unreadable_share(self) -> float:
        """Share of the rows that cannot be read, 0..1."""
        return self.unreadable / self.images if self.images else 0.0


@dataclasses.dataclass(frozen=True)
class Speed:
    """How fast one machine is.

    Attributes:
        images_per_sec: inputs that it reads, decodes and captions in a second, those included
            that cannot be read.
        start_up_secs: loading the model, and its first batch.
    """

    images_per_sec: float
    start_up_secs: float


class Measurement:
    """Reads rows, and keeps count of what came of it."""

    def __init__(self, fetch: FetchConfig) -> None:
        """Keeps how images are read; further attempts and long waits are left out."""
        secs = min(fetch.timeout_secs, READ_SECS)
        self._fetch = fetch.replace(attempts=1, timeout_secs=secs)
        self._sizes: list[int] = []
        self._errors: list[str] = []

    @property
    def reading(self) -> Reading:
        """What was read so far."""
        read, failed = len(self._sizes), len(self._errors)
        mean_bytes = sum(self._sizes) / read if read else 0.0
        return Reading(read + failed, failed, mean_bytes, self._errors[0] if failed else "")

    def read(self, rows: Iterable[InputRow]) -> Iterator[EncodedImage | Failure]:
        """Yields each row's image, or why there is none, while the next ones are being read."""
        deadline_secs = time.monotonic() + LIMIT_SECS
        pool = ReadPool(self._fetch)
        try:
            for row in rows:
                if time.monotonic() > deadline_secs:
                    return
                if row.problem is not None:
                    yield self._failed(row, *row.problem)
                else:
                    yield from map(self._outcome, pool.submit(row))
            yield from map(self._outcome, pool.drain())
        finally:
            pool.close()

    def _outcome(self, result: ReadResult) -> EncodedImage | Failure:
        if result.data is None:
            error = result.error and (result.error.__cause__ or result.error)
            return self._failed(result.row, type(error).__name__, str(error))
        self._sizes.append(len(result.data))
        return EncodedImage(result.row.uri, result.data)

    def _failed(self, row: InputRow, error_type: str, message: str) -> Failure:
        self._errors.append(f"{row.uri}: {error_type}: {message}")
        return Failure(row.uri, "read", error_type, message)


def measure_speed(rows: Sequence[InputRow], config: JobConfig, measurement: Measurement) -> Speed:
    """Captions rows, as the job does, and times it.

    The first batch starts the model up and is timed apart. The others are timed together, as many
    full batches as there are; where there is none, all rows again.

    Args:
        rows: at least one.
        config: bundle, decode settings and batch size.
        measurement: counts what was read.

    Raises:
        ConfigError: for a setting out of range.
        BundleError: where there is no bundle.
    """
    started_secs = time.monotonic()
    handler = _handler(config)
    size = handler.most_in_batch
    model = handler.load_model()

    def caption(some: Sequence[InputRow]) -> int:
        done = 0
        for batch in _batches(measurement.read(some), size):
            handler.run_inference(batch, model)
            done += len(batch)
        return done

    caption(rows[:size])
    start_up_secs = time.monotonic() - started_secs
    full = rows[size : len(rows) - len(rows) % size]
    started_secs = time.monotonic()
    done = caption(full or rows)
    secs = time.monotonic() - started_secs
    return Speed(done / secs, start_up_secs)


def _handler(config: JobConfig) -> CaptionModelHandler:
    bundle = config.bundle or default_bundle_path()
    info = read_bundle_info(bundle, storage.open_read)
    decode = config.decode_config(info.decode)
    return CaptionModelHandler(
        bundle,
        decode,
        config.batch_size,
        precision=config.precision,
        encoder_runtime=config.encoder_runtime,
    )


def _batches(
    elements: Iterator[EncodedImage | Failure], size: int
) -> Iterator[list[EncodedImage | Failure]]:
    while batch := list(itertools.islice(elements, size)):
        yield batch
