"""Whether time an image and memory stay as they are when the input grows ten times.

    python -m benchmarks.growth                        5,000 and 50,000 inputs, 20 minutes a round

Each job runs in a process of its own, over hard links of the photos. Time is without the start,
which is measured by a job of one batch; memory is the process's high-water mark.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.jobs import job_flags, without_start
from benchmarks.results import Report, Row, make_report, publish
from benchmarks.settings import Settings, link_photos, make_parser, settings_from
from benchmarks.timing import Run, measure_in_turn, paired_ratios
from benchmarks.watching import watch

FACTOR = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    parser = make_parser(__doc__, images=5000, rounds=1)
    arguments = parser.parse_args(argv)
    settings = settings_from(arguments)
    with tempfile.TemporaryDirectory(prefix="growth-") as work:
        report = measure(settings, Path(work), argv)
    publish(report, settings.json)
    return 0


def measure(settings: Settings, work: Path, argv: Sequence[str] | None = None) -> Report:
    """Measures both rows.

    Args:
        settings: photos, the smaller number of images, rounds.
        work: an empty folder for files.
        argv: the command line, for the report.
    """
    counts = {
        "start": settings.batch_size,
        "small": settings.images,
        "large": settings.images * FACTOR,
    }
    peaks: dict[str, list[int]] = {name: [] for name in counts}
    runs = {name: _run(settings, work, name, count, peaks) for name, count in counts.items()}
    seconds = measure_in_turn(runs, settings.rounds, warm_ups=0)
    rows = growth_rows(seconds, peaks, counts)
    return make_report("growth", rows, settings.shown(), argv=argv)


def _run(settings: Settings, work: Path, name: str, count: int, peaks: dict[str, list[int]]) -> Run:
    folder = link_photos(settings.photos, work / name, count)
    flags = job_flags(settings, folder, work / f"output-{name}", "--overwrite")

    def run() -> float:
        watched = watch(["-m", "beam_jobs.caption_images", *flags])
        peaks[name].append(watched.own_peak_bytes)
        return watched.seconds

    return run


def growth_rows(
    seconds: dict[str, list[float]], peaks: dict[str, list[int]], counts: dict[str, int]
) -> list[Row]:
    """Returns the two rows.

    Args:
        seconds: of `start`, `small` and `large`, one a round.
        peaks: bytes, as `seconds`.
        counts: images of each.
    """
    each = {}
    for name in ("small", "large"):
        rest = without_start(seconds[name], seconds["start"])
        each[name] = [value / (counts[name] - counts["start"]) for value in rest]
    extra = [(b - a) / 1e6 for a, b in zip(peaks["small"], peaks["large"], strict=True)]
    small, large = f"{counts['small']:,}", f"{counts['large']:,}"
    return [
        Row(
            "time_per_image",
            f"time an image at {large} inputs / at {small}",
            paired_ratios(each["large"], each["small"]),
            "ratio",
            1.05,
            at_most=True,
        ),
        Row(
            "peak_memory",
            f"peak memory at {large} inputs more than at {small}",
            tuple(extra),
            "MB",
            100.0,
            at_most=True,
            note=f"{min(peaks['small']) / 1e6:,.0f} MB there",
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
