"""`--workers 2`, one thread each, against one process of two threads.

    python -m benchmarks.workers

Images a second are taken from the rows' own `captioned_at`, after each worker's first batch, so
that no process's start counts. Memory is of all processes together, what they share counted once.
"""

import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.jobs import job_flags, seconds_an_image
from benchmarks.results import Report, Row, make_report, publish
from benchmarks.settings import Settings, link_photos, make_parser, settings_from
from benchmarks.timing import measure_in_turn, median, paired_ratios
from benchmarks.watching import watch


@dataclasses.dataclass(frozen=True)
class Layout:
    """How one job is spread over a machine.

    Attributes:
        processes: of workers; 0 for the launcher's own.
        threads: of TensorFlow in each.
        flags: of the job.
    """

    processes: int
    threads: int
    flags: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """Returns the environment that sets the threads."""
        names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
        return dict.fromkeys(names, str(self.threads))


APART = ("--direct_running_mode", "multi_processing")
LAYOUTS = {
    "threads": Layout(0, threads=2),
    "one": Layout(1, threads=2, flags=("--direct_num_workers", "1", *APART)),
    "two": Layout(2, threads=1, flags=("--workers", "2")),
    "two_sharing": Layout(2, threads=2, flags=("--workers", "2", "--share_model")),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    parser = make_parser(__doc__, images=1024, rounds=5)
    settings = settings_from(parser.parse_args(argv))
    with tempfile.TemporaryDirectory(prefix="workers-") as work:
        report = measure(settings, Path(work), argv)
    publish(report, settings.json)
    return 0


def measure(settings: Settings, work: Path, argv: Sequence[str] | None = None) -> Report:
    """Measures all rows.

    Args:
        settings: photos, rounds and so on.
        work: an empty folder for files.
        argv: the command line, for the report.
    """
    photos = link_photos(settings.photos, work / "photos", settings.images)
    peaks: dict[str, list[int]] = {name: [] for name in LAYOUTS}

    def run(name: str, layout: Layout) -> float:
        output = work / f"output-{name}"
        shutil.rmtree(output, ignore_errors=True)
        flags = job_flags(settings, photos, output, *layout.flags)
        watched = watch(["-m", "beam_jobs.caption_images", *flags], layout.environment())
        peaks[name].append(watched.tree_peak_bytes)
        return seconds_an_image(output, settings.batch_size * max(layout.processes, 1))

    runs = {name: lambda n=name, w=layout: run(n, w) for name, layout in LAYOUTS.items()}
    each = measure_in_turn(runs, settings.rounds, warm_ups=0)
    rates = {name: 1 / median(values) for name, values in each.items()}
    return make_report("workers", worker_rows(each, peaks), settings.shown(), rates, argv)


def worker_rows(each: dict[str, list[float]], peaks: dict[str, list[int]]) -> list[Row]:
    """Returns the rows from seconds an image and peak bytes of each layout and round."""
    megabytes = {name: [value / 1e6 for value in values] for name, values in peaks.items()}
    what = "`--workers 2`, one thread each / one process of two threads"
    sharing = "`--workers 2 --share_model`, two threads / one process of two threads"
    return [
        Row("two", what, paired_ratios(each["threads"], each["two"]), "ratio", 1.0),
        Row("two_sharing", sharing, paired_ratios(each["threads"], each["two_sharing"]), "ratio"),
        *(
            Row(
                f"memory_{name}",
                f"memory of {words}",
                tuple(b - a for a, b in zip(megabytes["one"], megabytes[name], strict=True)),
                "MB",
            )
            for name, words in (
                ("two", "the second worker process"),
                ("two_sharing", "the second one with the shared model's process"),
            )
        ),
        Row("memory_one", "launcher and one worker process", tuple(megabytes["one"]), "MB"),
        Row("memory_threads", "the job in one process", tuple(megabytes["threads"]), "MB"),
    ]


if __name__ == "__main__":
    sys.exit(main())
