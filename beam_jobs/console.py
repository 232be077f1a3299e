"""What a person sees: a progress line while the job runs, a short table at the end.

Takes a function that tells the progress, and the finished run; writes to a stream. Computes
nothing of the result.
"""

import dataclasses
import datetime
import heapq
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

import pyarrow as pa
from tqdm import tqdm

from beam_jobs import records, storage
from beam_jobs.event_log import log_event
from beam_jobs.progress import Progress
from beam_jobs.report.tables import read_file, table_files

LOG_EVERY_SECS = 30.0
LOOK_EVERY_SECS = 1.0
REFRESH_SECS = 0.2
TABLE_CAPTIONS = 5
TABLE_REASONS = 5
NAME_CHARS = 34


class Speedometer:
    """Tells images a second and the time left, measured from the first image that was done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Keeps the clock, in seconds."""
        self._clock = clock
        self._first: tuple[int, float] | None = None

    def rate(self, progress: Progress) -> float | None:
        """Returns images a second; None until there is something to tell it from."""
        if not progress.done:
            return None
        now_secs = self._clock()
        if self._first is None:
            self._first = (progress.done, now_secs)
        first_done, first_secs = self._first
        if progress.done == first_done or now_secs <= first_secs:
            return None
        return (progress.done - first_done) / (now_secs - first_secs)


def speed_text(progress: Progress, rate: float | None) -> str:
    """Returns, for example, `4.0 images/s, 0:01:35 left, 3 failed`."""
    if not progress.done:
        return f"{progress.total} found"
    failed = f"{progress.failed} failed"
    if rate is None:
        return failed
    left = datetime.timedelta(seconds=round(secs_left(progress, rate)))
    return f"{rate:.1f} images/s, {left} left, {failed}"


def secs_left(progress: Progress, rate: float) -> float:
    """Returns how long the rest takes at a rate of images a second."""
    return max(progress.total - progress.done, 0) / rate


def show_line(read: Callable[[], Progress], finished: threading.Event, stream: TextIO) -> None:
    """Shows one line that is rewritten until `finished` is set: done, total, speed, failures."""
    speed = Speedometer()
    columns, rows = shutil.get_terminal_size()
    layout = "{desc} {n_fmt}/{total_fmt} |{bar:20}| {unit}"
    with tqdm(file=stream, bar_format=layout, ncols=columns - 1, nrows=rows) as line:
        while True:
            last = finished.wait(REFRESH_SECS)
            progress = read()
            line.n, line.total = progress.done, progress.total or None
            line.set_description_str("captioning" if progress.done else "starting", refresh=False)
            line.unit = speed_text(progress, speed.rate(progress))
            line.refresh()
            if last:
                return


def log_lines(
    read: Callable[[], Progress], finished: threading.Event, every_secs: float = LOG_EVERY_SECS
) -> None:
    """Logs a `progress` event every `every_secs` until `finished` is set."""
    speed = Speedometer()
    logged_secs = time.monotonic()
    # Looked at more often than logged, so that the speed is known by the first line.
    while not finished.wait(min(every_secs, LOOK_EVERY_SECS)):
        progress = read()
        rate = speed.rate(progress)
        if time.monotonic() - logged_secs >= every_secs:
            logged_secs = time.monotonic()
            _log_progress(progress, rate)


def _log_progress(progress: Progress, rate: float | None) -> None:
    log_event(
        "progress",
        f"{progress.done} of {progress.total} done, {speed_text(progress, rate)}",
        **dataclasses.asdict(progress),
        images_per_sec=None if rate is None else round(rate, 3),
        secs_left=None if rate is None else round(secs_left(progress, rate), 1),
    )


def summary(output: str | None, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines of the table at the end.

    Args:
        output: the job's output folder; None where rows went to BigQuery only.
        manifest: of the finished run.
    """
    counts = manifest["counts"]
    if output is not None:
        yield from _first_rows(output, counts["captions"])
    yield (
        f"{counts['captions']} captions, {counts['failures']} failures in "
        f"{manifest['elapsed_secs']:.1f} s ({manifest['images_per_sec']:.1f} images/s); "
        f"{counts['duplicates']} duplicates, {counts['left_out_by_limit']} left out by --limit"
    )
    yield from _earlier_runs(manifest)
    yield from _reasons(manifest["failures_by_stage"])
    for label, address in outputs(output, manifest).items():
        yield f"{label + ':':<10} {address}"


def outputs(output: str | None, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Returns where what a run wrote is: label -> address; empty tables are left out."""
    counts, settings = manifest["counts"], manifest.get("settings", {})
    suffix = settings.get("output_format") or "parquet"
    found: dict[str, str] = {}
    if output is not None:
        for name in (records.CAPTIONS.name, records.FAILURES.name):
            if counts[name]:
                found[name] = storage.join(output, name, f"*.{suffix}")
    if settings.get("output_table"):
        found["bigquery"] = settings["output_table"]
    if output is not None:
        found["manifest"] = storage.join(output, "manifest.json")
        if manifest.get("report"):
            found["report"] = storage.join(output, manifest["report"])
    return found


def first_captions(output: str, number: int) -> Iterator[tuple[str, str, float]]:
    """Yields URI, caption and score of the first rows of the captions table's first file."""
    columns = ("uri", "caption", "score")
    for path in table_files(output, records.CAPTIONS)[:1]:
        rows = [row for batch in read_file(path, records.CAPTIONS, columns) for row in _rows(batch)]
        yield from heapq.nsmallest(number, rows)


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[str, str, float]]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _first_rows(output: str, captions: int) -> Iterator[str]:
    yield ""
    rows = list(first_captions(output, TABLE_CAPTIONS))
    for uri, caption, score in rows:
        yield f"  {_shortened(uri):<{NAME_CHARS}}  {score:6.2f}  {caption}"
    if len(rows) < captions:
        yield f"  ... and {captions - len(rows)} more"
    yield ""


def _earlier_runs(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yields a line where the rows are the work of several runs."""
    counts, runs = manifest["counts"], manifest.get("runs", [])
    if len(runs) > 1:
        yield (
            f"run {len(runs)} of this job: {counts['captions_of_this_run']} captions, "
            f"{counts['failures_of_this_run']} failures; {counts['done_by_earlier_runs']} done by "
            f"earlier runs, {counts['retried']} of their failures tried again"
        )


def _reasons(failures_by_stage: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    reasons = sorted(
        (-number, error_type, stage)
        for stage, types in failures_by_stage.items()
        for error_type, number in types.items()
    )
    for number, error_type, stage in reasons[:TABLE_REASONS]:
        yield f"  {-number:>6}  {error_type} ({stage})"
    if len(reasons) > TABLE_REASONS:
        yield f"          and {len(reasons) - TABLE_REASONS} more kinds, see the failures table"


def _shortened(uri: str) -> str:
    return uri if len(uri) <= NAME_CHARS else "..." + uri[3 - NAME_CHARS :]
