"""`caption-images --estimate`: how long an input would take, and what it would cost.

Takes the rows of the input, one by one, and the job's settings; counts all rows, reads a sample
of them and captions it here with the real model, unless the speed is given. Writes nothing. The
arithmetic is `Estimate`'s; docs/estimate.md explains it with an example.
"""

import array
import dataclasses
import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from beam_jobs.batch_trial import LARGEST
from beam_jobs.config import JobConfig
from beam_jobs.inputs.rows import InputRow
from beam_jobs.measuring import Measurement, Reading, Speed, measure_speed
from beam_jobs.report.text import bytes_text, count_text, duration_text, percent_text
from model_lib.errors import ConfigError

SAMPLE_IMAGES = 256
SAMPLE_BATCHES = 4
SAMPLE_IMAGES_FOR_SIZE = 64
# From ordering a virtual machine to its first batch: image, drivers, packages, model.
START_UP_SECS = 300.0


@dataclasses.dataclass(frozen=True)
class Sample:
    """The input in short.

    Attributes:
        listed: rows, repeated and bad ones included.
        distinct: different URIs among them.
        rows: some rows with different URIs, drawn at random, the same ones each time.
    """

    listed: int
    distinct: int
    rows: tuple[InputRow, ...]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What an input would take.

    Attributes:
        listed: rows of the input, repeated ones included.
        images: images to caption: the different ones, within `--limit`.
        reading: what reading a sample gave.
        images_per_sec: speed of one machine.
        is_measured: whether that was measured here.
        machines: at work at the same time.
        start_up_secs: from the start to a machine's first batch.
        price_per_hour: of one machine; None where it is not known.
    """

    listed: int
    images: int
    reading: Reading
    images_per_sec: float
    is_measured: bool
    machines: int
    start_up_secs: float
    price_per_hour: float | None

    @property
    def num_bytes(self) -> float:
        """Encoded bytes to read."""
        return self.images * (1 - self.reading.unreadable_share) * self.reading.mean_bytes

    @property
    def work_secs(self) -> float:
        """Time for all images, on all machines, without their start."""
        return self.images / (self.images_per_sec * self.machines)

    @property
    def total_secs(self) -> float:
        """Time from start to end."""
        return self.start_up_secs + self.work_secs

    @property
    def machine_hours(self) -> float:
        """Time of all machines together."""
        return self.machines * self.total_secs / 3600

    @property
    def cost(self) -> float | None:
        """Price of these, in the currency of the price given."""
        return None if self.price_per_hour is None else self.machine_hours * self.price_per_hour


def estimate(config: JobConfig, rows: Iterable[InputRow]) -> Estimate:
    """Makes the estimate.

    Args:
        config: what the command line says.
        rows: all rows of the input, in any order.

    Raises:
        ConfigError: where there is no input, or no image of the sample can be read.
        BundleError: where there is no bundle.
    """
    is_measured = config.images_per_sec is None
    size = max(SAMPLE_IMAGES, SAMPLE_BATCHES * (config.batch_size or LARGEST))
    sample = draw_sample(rows, size if is_measured else SAMPLE_IMAGES_FOR_SIZE)
    if not sample.rows:
        raise ConfigError("no images were found in --input")
    measurement = Measurement(config.fetch_config())
    if config.images_per_sec is None:
        speed = measure_speed(sample.rows, config, measurement)
        _check_readable(measurement.reading)
    else:
        for _ in measurement.read(sample.rows):
            pass
        speed = Speed(config.images_per_sec, START_UP_SECS)
    is_here = is_measured and config.machines == 1 and config.price_per_hour is None
    return Estimate(
        listed=sample.listed,
        images=min(sample.distinct, config.limit or sample.distinct),
        reading=measurement.reading,
        images_per_sec=speed.images_per_sec,
        is_measured=is_measured,
        machines=config.machines,
        start_up_secs=speed.start_up_secs if is_here else START_UP_SECS,
        price_per_hour=config.price_per_hour,
    )


def draw_sample(rows: Iterable[InputRow], size: int) -> Sample:
    """Counts rows and draws some with different URIs: those with the smallest hashes.

    A row costs 8 bytes of memory, and twice as much for a moment at the end.

    Args:
        rows: in any order; the order does not change what is drawn.
        size: most rows to draw.
    """
    hashes = array.array("Q")
    kept: dict[int, InputRow] = {}
    limit = 2**64
    for row in rows:
        key = _hash(row.uri)
        hashes.append(key)
        if key < limit:
            kept.setdefault(key, row)
        if len(kept) > 2 * size:
            kept = {key: kept[key] for key in sorted(kept)[:size]}
            limit = max(kept)
    distinct = len(np.unique(np.frombuffer(hashes, dtype=np.uint64))) if hashes else 0
    return Sample(len(hashes), distinct, tuple(kept[key] for key in sorted(kept)[:size]))


def _hash(uri: str) -> int:
    data = uri.encode("utf-8", "backslashreplace")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _check_readable(reading: Reading) -> None:
    if reading.unreadable == reading.images:
        raise ConfigError(
            f"none of {reading.images} images of --input could be read, so their speed cannot be "
            f"measured; {reading.first_error}"
        )


def estimate_lines(estimate: Estimate) -> Iterator[str]:
    """Yields what a person reads."""
    reading, machines = estimate.reading, estimate.machines
    many = "s" if machines > 1 else ""
    source = "measured here" if estimate.is_measured else "as given by --images_per_sec"
    yield f"images    {count_text(estimate.images)} ({count_text(estimate.listed)} listed)"
    yield (
        f"sample    {reading.images} images: {bytes_text(reading.mean_bytes)} each, "
        f"{percent_text(reading.unreadable_share)} cannot be read"
    )
    if reading.first_error:
        yield f"          such as {reading.first_error}"
    yield f"to read   {bytes_text(estimate.num_bytes)}"
    yield f"speed     {estimate.images_per_sec:.1f} images/s on one machine, {source}"
    yield f"start-up  {duration_text(estimate.start_up_secs)}"
    yield (
        f"time      {duration_text(estimate.total_secs)} on {machines} machine{many}: start-up and "
        f"{duration_text(estimate.work_secs)} of work"
    )
    if estimate.cost is not None:
        yield (
            f"cost      {estimate.cost:,.2f}: {estimate.machine_hours:,.2f} machine hours at "
            f"{estimate.price_per_hour:g}"
        )
