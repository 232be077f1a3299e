"""What a run counts and measures, and what must add up.

    listed          = distinct + duplicates
    distinct        = selected + left out by --limit
    selected        = skipped + to do
    to do           = captions + failures        of this run
    published rows  = selected + other_rows      of all runs

Takes increments and observations in the pipeline's steps, in the thread that Beam calls them in;
gives the sums of a finished run. docs/metrics.md says what each number means.
"""

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from beam_jobs import beam_metrics
from beam_jobs.latency import Summary
from beam_jobs.memory import peak_memory_bytes
from beam_jobs.records import Failure

NAMESPACE = beam_metrics.NAMESPACE

LISTED = "listed"
DISTINCT = "distinct"
SELECTED = "selected"
SKIPPED = "skipped"
RETRIED = "retried"
OTHER_ROWS = "other_rows"
BAD_ROWS = "bad_rows"
IMAGES_READ = "images_read"
IMAGES_DECODED = "images_decoded"
BYTES_READ = "bytes_read"
CAPTIONS = "captions"
_FIELDS = (
    LISTED,
    DISTINCT,
    SELECTED,
    SKIPPED,
    RETRIED,
    OTHER_ROWS,
    BAD_ROWS,
    IMAGES_READ,
    IMAGES_DECODED,
    BYTES_READ,
    CAPTIONS,
)

READ_MS = "read_ms"
DECODE_MS = "decode_ms"
CAPTION_MS = "caption_ms"
COMMIT_MS = "commit_ms"
BATCH_IMAGES = "batch_images"

_FAILURE_PREFIX = "failures/"
_PEAK_MEMORY = "worker_peak_memory_bytes"
# When batches began and ended, in hundredths of a second since 2025: Beam sums them in 64 bits.
_CAPTIONING_AT = "captioning_at"
_EPOCH_SECS = 1_735_689_600
_TICKS_PER_SEC = 100


def count(name: str, amount: int = 1) -> None:
    """Adds to a counter."""
    beam_metrics.add_to_counter(name, amount)


def count_failure(failure: Failure) -> None:
    """Counts a failure under its stage and type."""
    count(f"{_FAILURE_PREFIX}{failure.stage}/{failure.error_type}")


def observe(name: str, value: float) -> None:
    """Adds a value to a distribution.

    Args:
        name: what was measured: `READ_MS` and the like, or any other name; one that ends in
            `_ms` is a latency.
        value: 0 or more; percentiles are of use from 0.1 to 1,000,000. A `CAPTION_MS` is
            observed just when its batch ended.
    """
    beam_metrics.add_to_distribution(name, value)
    if name == CAPTION_MS:
        _note_captioning(value)


def observe_peak_memory() -> None:
    """Notes the most memory that this worker process has held so far; once a batch is enough."""
    beam_metrics.add_to_span(_PEAK_MEMORY, peak_memory_bytes())


def _note_captioning(millis: float) -> None:
    ended_secs = time.time() - _EPOCH_SECS
    for secs in (ended_secs - millis / 1000, ended_secs):
        beam_metrics.add_to_span(_CAPTIONING_AT, round(secs * _TICKS_PER_SEC))


@dataclasses.dataclass(frozen=True)
class JobCounts:
    """Sums over a run.

    Attributes:
        listed: inputs found, repeated ones included.
        distinct: different URIs among them.
        selected: those that `--limit` left.
        captions: images captioned by this run.
        failures_by_type: number of failures of this run by `(stage, error type)`.
        bytes_read: encoded bytes of the images read.
        skipped: selected inputs that earlier runs had done.
        retried: failures of earlier runs that were tried again; they are not among the skipped.
        other_rows: rows of earlier runs whose input is not in this run's list.
        bad_rows: input rows that were no good: no URI, not UTF-8, torn.
        images_read: images whose bytes arrived.
        images_decoded: images that became pixels.
        distributions: what was observed, by name: latencies and sizes.
        peak_memory_bytes: most memory that one worker process held, 0 where nobody noted it.
        captioning_secs: from the start of the first batch to the end of the last one, over all
            workers; 0 where nothing was captioned.
        known: false where the engine gives no metrics; then all of the above is 0.
    """

    listed: int = 0
    distinct: int = 0
    selected: int = 0
    captions: int = 0
    failures_by_type: Mapping[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    bytes_read: int = 0
    skipped: int = 0
    retried: int = 0
    other_rows: int = 0
    bad_rows: int = 0
    images_read: int = 0
    images_decoded: int = 0
    distributions: Mapping[str, Summary] = dataclasses.field(default_factory=dict)
    peak_memory_bytes: int = 0
    captioning_secs: float = 0.0
    known: bool = True

    @property
    def failures(self) -> int:
        """Number of failures of any kind in this run."""
        return sum(self.failures_by_type.values())

    @property
    def to_do(self) -> int:
        """Number of inputs that this run worked on."""
        return self.selected - self.skipped

    @property
    def failure_rate(self) -> float:
        """Share of the inputs that this run worked on that failed, 0..1."""
        return self.failures / self.to_do if self.to_do > 0 else 0.0

    def mismatches(self, caption_rows: int, failure_rows: int) -> list[str]:
        """Compares the counters with each other and with the rows that are published.

        Args:
            caption_rows: rows of the captions table, of all runs, from its files.
            failure_rows: rows of the failures table, of all runs, from its files.

        Returns:
            A sentence for each thing that does not add up; none where all is well, or where the
            engine gave no counters to compare with.
        """
        if not self.known:
            return []
        published, expected = caption_rows + failure_rows, self.selected + self.other_rows
        checks = {
            f"{self.to_do} inputs were to do, {self.captions} captions and {self.failures} "
            "failures were counted": self.to_do == self.captions + self.failures,
            f"{self.selected} inputs and {self.other_rows} rows of other inputs should give "
            f"{expected} rows, {published} are published": expected == published,
        }
        return [sentence for sentence, holds in checks.items() if not holds]


def read_counts(result: Any) -> JobCounts:
    """Reads the counters of a finished pipeline (a Beam `PipelineResult`).

    Counts of an engine without metrics are not `known`, and so are those of a pipeline that
    counted nothing.
    """
    measured = beam_metrics.read_metrics(result)
    if measured is None:
        return JobCounts(known=False)
    plain: dict[str, Any] = {name: measured.sums.get(name, 0) for name in _FIELDS}
    spans = dict(measured.spans)
    captioning, memory = spans.pop(_CAPTIONING_AT, None), spans.pop(_PEAK_MEMORY, None)
    return JobCounts(
        **plain,
        failures_by_type={
            _stage_and_type(name): value
            for name, value in measured.sums.items()
            if name.startswith(_FAILURE_PREFIX)
        },
        distributions={name: measured.summary(name) for name in spans},
        peak_memory_bytes=memory.high if memory else 0,
        captioning_secs=(captioning.high - captioning.low) / _TICKS_PER_SEC if captioning else 0.0,
    )


def _stage_and_type(name: str) -> tuple[str, str]:
    stage, error_type = name.removeprefix(_FAILURE_PREFIX).split("/", 1)
    return stage, error_type


def metrics_section(
    counts: JobCounts, elapsed_secs: float, peak_memory_bytes_launcher: int | None = None
) -> dict[str, Any]:
    """Returns what the manifest says under `metrics`; plain JSON values, unknown ones None.

    Args:
        counts: of the run.
        elapsed_secs: wall-clock time of the run.
        peak_memory_bytes_launcher: of the launcher; by default that of this process.
    """
    observed = {name: _summary(found) for name, found in counts.distributions.items()}
    latencies = {
        name.removesuffix("_ms"): observed.pop(name)
        for name in (READ_MS, DECODE_MS, CAPTION_MS, COMMIT_MS, *sorted(observed))
        if name in observed and name.endswith("_ms")
    }
    return {
        "known": counts.known,
        "images_per_sec": {
            "whole_run": _rate(counts.captions, elapsed_secs),
            "captioning": _rate(counts.captions, counts.captioning_secs),
        },
        "captioning_secs": round(counts.captioning_secs, 2) or None,
        "latency_ms": latencies,
        **observed,
        "images_read": counts.images_read,
        "images_decoded": counts.images_decoded,
        "peak_memory_bytes": {
            "launcher": peak_memory_bytes_launcher or peak_memory_bytes(),
            "worker": counts.peak_memory_bytes or None,
        },
    }


def _summary(found: Summary) -> dict[str, float]:
    return {name: round(value, 3) for name, value in dataclasses.asdict(found).items()}


def _rate(images: int, secs: float) -> float | None:
    return round(images / secs, 3) if secs > 0 else None
