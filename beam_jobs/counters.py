"""What a run counts, as Beam counters: every input ends in exactly one of them.

    listed   = distinct + duplicates
    distinct = captions + failures + left_out       (left_out: beyond --limit)

Takes increments inside the pipeline; gives the sums of a finished one.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from apache_beam.metrics.metric import Metrics, MetricsFilter

from beam_jobs.records import Failure

NAMESPACE = "caption_images"
LISTED = "listed"
DISTINCT = "distinct"
SELECTED = "selected"
BYTES_READ = "bytes_read"
CAPTIONS = "captions"
_FAILURE_PREFIX = "failures/"


def count(name: str, amount: int = 1) -> None:
    """Adds to a counter; call it inside a worker."""
    Metrics.counter(NAMESPACE, name).inc(amount)


def count_failure(failure: Failure) -> None:
    """Counts a failure under its stage and type."""
    count(f"{_FAILURE_PREFIX}{failure.stage}/{failure.error_type}")


@dataclasses.dataclass(frozen=True)
class JobCounts:
    """Sums over a run.

    Attributes:
        listed: inputs found, repeated ones included.
        distinct: different URIs among them.
        selected: those that `--limit` left.
        captions: images captioned.
        failures_by_type: number of failures by `(stage, error type)`.
        bytes_read: encoded bytes of the images read.
    """

    listed: int
    distinct: int
    selected: int
    captions: int
    failures_by_type: Mapping[tuple[str, str], int]
    bytes_read: int

    @property
    def failures(self) -> int:
        """Number of failures of any kind."""
        return sum(self.failures_by_type.values())

    @property
    def failure_rate(self) -> float:
        """Share of the inputs worked on that failed, 0..1."""
        return self.failures / self.selected if self.selected else 0.0

    def mismatches(self, caption_rows: int, failure_rows: int) -> list[str]:
        """Compares the counters with each other and with the rows in the files.

        Args:
            caption_rows: rows of the captions table, from its files.
            failure_rows: rows of the failures table, from its files.

        Returns:
            A sentence for each thing that does not add up; none where all is well.
        """
        done = self.captions + self.failures
        checks = {
            f"{self.selected} inputs became {done} rows": self.selected == done,
            f"{self.captions} captions counted, {caption_rows} written": (
                self.captions == caption_rows
            ),
            f"{self.failures} failures counted, {failure_rows} written": (
                self.failures == failure_rows
            ),
        }
        return [sentence for sentence, holds in checks.items() if not holds]


def read_counts(result: Any) -> JobCounts:
    """Reads the counters of a finished pipeline (a Beam `PipelineResult`)."""
    found: dict[str, int] = {}
    query = MetricsFilter().with_namespace(NAMESPACE)
    for metric in result.metrics().query(query)["counters"]:
        value = metric.committed if metric.committed is not None else metric.attempted
        name = metric.key.metric.name
        found[name] = found.get(name, 0) + int(value or 0)
    failures = {
        _stage_and_type(name): value
        for name, value in sorted(found.items())
        if name.startswith(_FAILURE_PREFIX)
    }
    return JobCounts(
        listed=found.get(LISTED, 0),
        distinct=found.get(DISTINCT, 0),
        selected=found.get(SELECTED, 0),
        captions=found.get(CAPTIONS, 0),
        failures_by_type=failures,
        bytes_read=found.get(BYTES_READ, 0),
    )


def _stage_and_type(name: str) -> tuple[str, str]:
    stage, error_type = name.removeprefix(_FAILURE_PREFIX).split("/", 1)
    return stage, error_type
