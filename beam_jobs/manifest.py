"""`manifest.json`: what a run was, what it read, wrote and failed, and how long it took.

Made from the plan, the counters and the files themselves; written last, so that an output folder
with a manifest is whole. Plain JSON values only; times are ISO 8601 in UTC.
"""

import collections
import dataclasses
import datetime
import importlib.metadata
import json
import platform
from collections.abc import Sequence
from typing import Any

from beam_jobs import storage
from beam_jobs.counters import JobCounts
from beam_jobs.pipeline import JobPlan
from beam_jobs.redaction import without_secrets
from beam_jobs.sinks import Part

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 1
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
        command_line: the words it was started with.
        started_at: when it started, UTC.
        finished_at: when its tables were complete, UTC.
        counts: the pipeline's counters.
        caption_parts: files of the captions table.
        failure_parts: files of the failures table.
    """

    command_line: Sequence[str]
    started_at: datetime.datetime
    finished_at: datetime.datetime
    counts: JobCounts
    caption_parts: Sequence[Part]
    failure_parts: Sequence[Part]

    @property
    def elapsed_secs(self) -> float:
        """Wall-clock time from start to complete tables."""
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def mismatches(self) -> list[str]:
        """What does not add up, in sentences; empty where every input has exactly one row."""
        return self.counts.mismatches(
            sum(part.num_rows for part in self.caption_parts),
            sum(part.num_rows for part in self.failure_parts),
        )


def build_manifest(plan: JobPlan, record: RunRecord) -> dict[str, Any]:
    """Returns the manifest of a finished run."""
    counts, elapsed_secs = record.counts, record.elapsed_secs
    too_many = counts.failure_rate > plan.config.max_failure_rate
    status = (
        "inconsistent" if record.mismatches else "too_many_failures" if too_many else "succeeded"
    )
    return {
        "format_version": FORMAT_VERSION,
        "status": status,
        "run_id": plan.run_id,
        "started_at": record.started_at.isoformat(),
        "finished_at": record.finished_at.isoformat(),
        "elapsed_secs": round(elapsed_secs, 3),
        "images_per_sec": round(counts.captions / elapsed_secs, 3) if elapsed_secs > 0 else 0.0,
        "command_line": without_secrets(list(record.command_line)),
        "bundle": {
            "path": plan.bundle,
            "name": plan.info.name,
            "fingerprint": plan.info.fingerprint,
        },
        "decode": plan.decode.to_dict(),
        "settings": {**plan.config.to_dict(), "input": list(plan.config.input)},
        "counts": _counts(counts),
        "failures_by_stage": _failures_by_stage(counts),
        "mismatches": record.mismatches,
        "files": {
            "captions": _files(record.caption_parts),
            "failures": _files(record.failure_parts),
        },
        "versions": versions(),
    }


def write_manifest(output: str, manifest: dict[str, Any]) -> str:
    """Writes the manifest, whole or not at all; returns its address."""
    address = storage.join(output, MANIFEST_NAME)
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    storage.replace_bytes(address, f"{text}\n".encode("utf-8", "backslashreplace"))
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


def _counts(counts: JobCounts) -> dict[str, int]:
    return {
        "listed": counts.listed,
        "distinct": counts.distinct,
        "duplicates": counts.listed - counts.distinct,
        "left_out_by_limit": counts.distinct - counts.selected,
        "captions": counts.captions,
        "failures": counts.failures,
        "bytes_read": counts.bytes_read,
    }


def _failures_by_stage(counts: JobCounts) -> dict[str, dict[str, int]]:
    stages: dict[str, dict[str, int]] = collections.defaultdict(dict)
    for (stage, error_type), number in counts.failures_by_type.items():
        stages[stage][error_type] = number
    return dict(stages)


def _files(parts: Sequence[Part]) -> dict[str, int]:
    return {
        "files": len(parts),
        "rows": sum(part.num_rows for part in parts),
        "bytes": sum(part.num_bytes for part in parts),
    }
