"""What the report says of a job's runs and of the last one's speed.

Takes the manifest; gives texts in the order in which they are shown, without what is not known.
"""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from beam_jobs.report.lookup import find, find_mappings, find_number, find_text
from beam_jobs.report.text import bytes_text, count_text, duration_text, millis_text, time_text

_STAGES = {
    "read": "Read an image",
    "decode": "Decode an image",
    "caption": "Caption a batch",
    "commit": "Commit rows",
}


@dataclasses.dataclass(frozen=True)
class LatencyRow:
    """How long one stage took: its name, how often it ran, and times as texts."""

    stage: str
    count: str
    p50: str
    p95: str
    mean: str
    longest: str


@dataclasses.dataclass(frozen=True)
class RunRow:
    """One run of the job; all texts."""

    run_id: str
    when: str
    result: str
    command: str


def latency_rows(manifest: Mapping[str, Any]) -> list[LatencyRow]:
    """Returns a row for each stage that was timed."""
    stages = find(manifest, "metrics.latency_ms")
    if not isinstance(stages, Mapping):
        return []
    return [
        LatencyRow(
            _STAGES.get(str(name), str(name)),
            _text(find_number(found, "count"), count_text),
            *(_text(find_number(found, key), millis_text) for key in ("p50", "p95", "mean", "max")),
        )
        for name, found in stages.items()
    ]


def speed_facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns name and value of what else is known of the last run's speed and memory."""
    metrics = find(manifest, "metrics")
    facts = {
        "Images a second while captioning": _text(
            find_number(metrics, "images_per_sec.captioning"), "{:.1f}".format
        ),
        "Images a second, whole run": _text(
            find_number(metrics, "images_per_sec.whole_run"), "{:.1f}".format
        ),
        "Captioning took": _text(find_number(metrics, "captioning_secs"), duration_text),
        "Images in a batch, median": _text(
            find_number(metrics, "batch_images.p50"), "{:.0f}".format
        ),
        "Most memory of a worker": _text(
            find_number(metrics, "peak_memory_bytes.worker"), bytes_text
        ),
        "Most memory of the launcher": _text(
            find_number(metrics, "peak_memory_bytes.launcher"), bytes_text
        ),
    }
    return [(name, value) for name, value in facts.items() if value]


def run_rows(manifest: Mapping[str, Any]) -> list[RunRow]:
    """Returns the job's runs, oldest first."""
    return [
        RunRow(
            run_id=find_text(run, "run_id"),
            when=_when(run),
            result=", ".join(
                f"{count_text(number)} {name}"
                for name in ("captions", "failures")
                if (number := find_number(run, name)) is not None
            ),
            command=command_text(find(run, "command_line")),
        )
        for run in find_mappings(manifest, "runs")
    ]


def command_text(command: Any) -> str:
    """Returns a command line as a shell takes it; text stays as it is."""
    if isinstance(command, Sequence) and not isinstance(command, str):
        return shlex.join(str(word) for word in command)
    return str(command or "")


def _when(run: Mapping[str, Any]) -> str:
    started, finished = (time_text(find_text(run, name)) for name in ("started_at", "finished_at"))
    return f"{started} to {finished}" if finished else f"{started}, not finished"


def _text(number: float | None, form: Any) -> str:
    return "" if number is None else str(form(number))
