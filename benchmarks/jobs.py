"""Runs of the whole job in this process, and how long it takes without its start.

Two ways. From its rows' own `captioned_at`: the steady state, between the first batch and the last.
Or by a job of one batch in the same round, whose time is taken off; then listing, publishing and
the manifest count as well, and so does the noise of the starts.
"""

import contextlib
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from beam_jobs import caption_images
from benchmarks.settings import Settings
from benchmarks.timing import Run, median


def job_flags(settings: Settings, folder: Path, output: Path, *extra: str) -> list[str]:
    """Returns the command line of a greedy job over a folder, without a report page."""
    flags = ["--input", str(folder), "--output", str(output), "--bundle", settings.bundle]
    flags += ["--batch_size", str(settings.batch_size), "--decode", "greedy"]
    return [*flags, "--quiet", "--no_report", *extra]


def job_run(settings: Settings, folder: Path, work: Path, *extra: str) -> Run:
    """Returns a run of the job over a folder, in this process.

    Raises:
        SystemExit: when run, where the job fails.
    """
    output = output_of(folder, work)
    flags = job_flags(settings, folder, output, *extra)

    def run() -> None:
        shutil.rmtree(output, ignore_errors=True)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = caption_images.main(flags)
        if code:
            raise SystemExit(f"caption-images {' '.join(flags)}: code {code}\n{said.getvalue()}")

    return run


def steady_run(settings: Settings, folder: Path, work: Path) -> Run:
    """Returns a run of `job_run`'s job that reports the seconds an image after its first batch."""
    job = job_run(settings, folder, work)

    def run() -> float:
        job()
        return seconds_an_image(output_of(folder, work), settings.batch_size)

    return run


def output_of(folder: Path, work: Path) -> Path:
    """Returns the folder that `job_run`'s job writes to."""
    return work / f"output-{folder.name}"


def without_start(whole: Sequence[float], start: Sequence[float]) -> list[float]:
    """Returns the seconds of the images after the first batch, round by round.

    The median of the starts is taken off: a start's own noise must not count as the images'.
    `without_start([10.0, 12.0], [3.0, 5.0]) == [6.0, 8.0]`

    Raises:
        SystemExit: where a start took longer than a whole: too few images.
    """
    rest = [value - median(start) for value in whole]
    if min(rest) <= 0:
        raise SystemExit(f"too few --images: whole {list(whole)} s, start {list(start)} s")
    return rest


def seconds_an_image(output: Path, warm_up: int) -> float:
    """Returns seconds an image between a job's first rows and its last.

    Args:
        output: the job's output folder.
        warm_up: rows that are only the beginning.

    Raises:
        SystemExit: where there are not more rows than these.
    """
    column = pq.read_table(output / "captions", columns=["captioned_at"]).column(0)
    times = sorted(value / 1e6 for value in pc.cast(column, "int64").to_pylist())
    if len(times) <= warm_up:
        raise SystemExit(f"{len(times)} rows; more than {warm_up} are needed: raise --images")
    return (times[-1] - times[warm_up - 1]) / (len(times) - warm_up)
