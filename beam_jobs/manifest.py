"""`manifest.json`: what the runs of a job were, what they read, wrote and failed, and how long.

Made from the run's note, its counters and the published tables; written last, so that an output
folder with a manifest is whole. Plain JSON values only; times are ISO 8601 in UTC.
"""

import collections
import dataclasses
import datetime
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from beam_jobs import records, storage
from beam_jobs.counters import JobCounts, metrics_section
from beam_jobs.outputs.earlier import MANIFEST_NAME
from beam_jobs.outputs.journal import RunNote
from beam_jobs.outputs.publish import Published, TableState

FORMAT_VERSION = 2
_DISTRIBUTIONS = (
    "batch-image-captioning",
    "apache-beam",
    "tensorflow",
    "keras",
    "numpy",
    "pillow",
    "pyarrow",
)


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """How a finished run went.

    Attributes:
        note: what it noted when it started.
        finished_at: when its tables were published, UTC.
        counts: the pipeline's counters; None where nobody waited for the pipeline.
        published: the tables.
        complete: whether the pipeline was seen to end.
        runs: all runs of the job, this one last, as `outputs.earlier` lists them.
    """

    note: RunNote
    finished_at: datetime.datetime
    counts: JobCounts | None
    published: Published
    complete: bool
    runs: Sequence[Mapping[str, Any]]

    @property
    def elapsed_secs(self) -> float:
        """Wall-clock time from start to published tables."""
        return (self.finished_at - records.parse_time(self.note.started_at)).total_seconds()

    @property
    def mismatches(self) -> list[str]:
        """What does not add up, in sentences; empty where every input has exactly one row."""
        if self.counts is None:
            return []
        return self.counts.mismatches(
            self.published.captions.num_rows, self.published.failures.num_rows
        )

    @property
    def failure_rate(self) -> float:
        """Share of the rows that are failures, 0..1."""
        captions, failures = self.published.captions.num_rows, self.published.failures.num_rows
        return failures / (captions + failures) if captions + failures else 0.0


def build_manifest(record: RunRecord) -> dict[str, Any]:
    """Returns the manifest of a finished run."""
    note, counts, elapsed_secs = record.note, record.counts, record.elapsed_secs
    too_many = record.failure_rate > note.settings["max_failure_rate"]
    captioned = counts.captions if counts else record.published.captions.num_rows
    status = (
        "inconsistent" if record.mismatches else "too_many_failures" if too_many else "succeeded"
    )
    return {
        "format_version": FORMAT_VERSION,
        "status": status,
        # A pipeline that nobody waited for may still be committing.
        "complete": record.complete,
        "run_id": note.run_id,
        "started_at": note.started_at,
        "finished_at": record.finished_at.isoformat(),
        "elapsed_secs": round(elapsed_secs, 3),
        "images_per_sec": round(captioned / elapsed_secs, 3) if elapsed_secs > 0 else 0.0,
        "command_line": list(note.command_line),
        "bundle": dict(note.bundle),
        "decode": dict(note.decode),
        "settings": dict(note.settings),
        "identity": dataclasses.asdict(note.identity),
        "counts": _counts(record),
        "failures_by_stage": _failures_by_stage(counts) if counts else {},
        "metrics": metrics_section(counts, elapsed_secs) if counts else {},
        "mismatches": record.mismatches,
        "files": {
            "captions": _files(record.published.captions),
            "failures": _files(record.published.failures),
        },
        "runs": [_run(run, record) for run in record.runs],
        "versions": versions(),
    }


def write_manifest(output: str, manifest: Mapping[str, Any]) -> str:
    """Writes the manifest, whole or not at all; returns its address."""
    address = storage.join(output, MANIFEST_NAME)
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    storage.write_atomically(address, f"{text}\n".encode("utf-8", "backslashreplace"))
    return address


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that shape the result."""
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _counts(record: RunRecord) -> dict[str, int]:
    """Counts of the job's tables, and, where they are known, of what this run listed."""
    counts = record.counts
    tables = {
        "captions": record.published.captions.num_rows,
        "failures": record.published.failures.num_rows,
    }
    if counts is None:
        return tables
    return {
        "listed": counts.listed,
        "distinct": counts.distinct,
        "duplicates": counts.listed - counts.distinct,
        "left_out_by_limit": counts.distinct - counts.selected,
        "done_by_earlier_runs": counts.skipped,
        "retried": counts.retried,
        "rows_of_other_inputs": counts.other_rows,
        "bad_rows": counts.bad_rows,
        **tables,
        "captions_of_this_run": counts.captions,
        "failures_of_this_run": counts.failures,
        "bytes_read": counts.bytes_read,
    }


def _failures_by_stage(counts: JobCounts) -> dict[str, dict[str, int]]:
    stages: dict[str, dict[str, int]] = collections.defaultdict(dict)
    for (stage, error_type), number in counts.failures_by_type.items():
        stages[stage][error_type] = number
    return dict(stages)


def _files(table: TableState) -> dict[str, int]:
    return {"files": table.num_files, "rows": table.num_rows, "bytes": table.num_bytes}


def _run(run: Mapping[str, Any], record: RunRecord) -> dict[str, Any]:
    """Returns a run with the rows of the tables that are its own."""
    run_id = str(run["run_id"])
    return {
        **run,
        "captions": record.published.captions.rows_by_run.get(run_id, 0),
        "failures": record.published.failures.rows_by_run.get(run_id, 0),
    }
