"""What a person sees: a progress line while the job runs, a short table at the end.

Takes a function that tells the progress, and the finished run; writes to a stream. Computes
nothing of the result.
"""

import datetime
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

import pyarrow.parquet as pq
from tqdm import tqdm

from beam_jobs import records, storage
from beam_jobs.progress import Progress
from beam_jobs.sinks import list_parts

LOG_EVERY_SECS = 30.0
REFRESH_SECS = 0.2
TABLE_CAPTIONS = 5
TABLE_REASONS = 5
NAME_CHARS = 34

logger = logging.getLogger(__name__)


class Speedometer:
    """Tells images a second and the time left, measured from the first image that was done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Keeps the clock, in seconds."""
        self._clock = clock
        self._first: tuple[int, float] | None = None

    def text(self, progress: Progress) -> str:
        """Returns, for example, `4.0 images/s, 1:35 left, 3 failed`."""
        if not progress.done:
            return f"{progress.total} found"
        now_secs = self._clock()
        if self._first is None:
            self._first = (progress.done, now_secs)
        first_done, first_secs = self._first
        failed = f"{progress.failed} failed"
        if progress.done == first_done or now_secs <= first_secs:
            return failed
        rate = (progress.done - first_done) / (now_secs - first_secs)
        left_secs = max(progress.total - progress.done, 0) / rate
        left = datetime.timedelta(seconds=round(left_secs))
        return f"{rate:.1f} images/s, {left} left, {failed}"


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
            line.unit = speed.text(progress)
            line.refresh()
            if last:
                return


def log_lines(
    read: Callable[[], Progress], finished: threading.Event, every_secs: float = LOG_EVERY_SECS
) -> None:
    """Logs a line every `every_secs` until `finished` is set."""
    speed = Speedometer()
    while not finished.wait(every_secs):
        progress = read()
        logger.info("%d of %d done, %s", progress.done, progress.total, speed.text(progress))


def summary(output: str, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines of the table at the end.

    Args:
        output: the job's output folder.
        manifest: of the finished run.
    """
    counts = manifest["counts"]
    yield ""
    rows = list(first_captions(output, TABLE_CAPTIONS))
    for uri, caption, score in rows:
        yield f"  {_shortened(uri):<{NAME_CHARS}}  {score:6.2f}  {caption}"
    if len(rows) < counts["captions"]:
        yield f"  ... and {counts['captions'] - len(rows)} more"
    yield ""
    yield (
        f"{counts['captions']} captions, {counts['failures']} failures in "
        f"{manifest['elapsed_secs']:.1f} s ({manifest['images_per_sec']:.1f} images/s); "
        f"{counts['duplicates']} duplicates, {counts['left_out_by_limit']} left out by --limit"
    )
    yield from _reasons(manifest["failures_by_stage"])
    for label, name, wanted in (
        ("captions", f"{records.CAPTIONS.name}/*.parquet", counts["captions"]),
        ("failures", f"{records.FAILURES.name}/*.parquet", counts["failures"]),
        ("manifest", "manifest.json", True),
        ("report", manifest["report"], manifest["report"]),
    ):
        if wanted:
            yield f"{label + ':':<10} {storage.join(output, name)}"


def first_captions(output: str, number: int) -> Iterator[tuple[str, str, float]]:
    """Yields URI, caption and score of the first rows of the captions table."""
    for part in list_parts(output, records.CAPTIONS)[:1]:
        with storage.open_read(part.path) as stream:
            table = pq.ParquetFile(stream).read(columns=["uri", "caption", "score"])
        for row in table.sort_by("uri").slice(0, number).to_pylist():
            yield row["uri"], row["caption"], row["score"]


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
