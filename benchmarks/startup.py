"""From process start to the first caption, split: imports, pipeline, load, trace, first batch.

    python -m benchmarks.startup

Each round starts a job of one photo in a new process (`benchmarks.first_caption`), whose marks
are read here. The file cache is warm: a round that does not count comes first.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.jobs import job_flags
from benchmarks.results import Report, Row, make_report, publish
from benchmarks.settings import Settings, link_photos, make_parser, settings_from
from benchmarks.watching import watch

STAGES = {
    "python": "starting Python",
    "beam": "importing Beam and the job",
    "pipeline": "checking the command line, building and starting the pipeline",
    "tensorflow": "importing TensorFlow and Keras",
    "load": "loading the bundle",
    "trace": "tracing and freezing the graph",
    "batch": "first batch",
}
TARGET_SECS = 10.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    arguments = make_parser(__doc__, images=1, rounds=5).parse_args(argv)
    settings = settings_from(arguments)
    with tempfile.TemporaryDirectory(prefix="startup-") as work:
        report = measure(settings, Path(work), argv)
    publish(report, settings.json)
    return 0


def measure(settings: Settings, work: Path, argv: Sequence[str] | None = None) -> Report:
    """Measures the whole and its parts.

    Args:
        settings: photos, rounds and so on.
        work: an empty folder for files.
        argv: the command line, for the report.
    """
    photo = link_photos(settings.photos, work / "photo", 1)
    rounds = []
    for number in range(settings.rounds + 1):
        flags = job_flags(settings, photo, work / f"output-{number}")
        watched = watch(["-W", "ignore", "-m", "benchmarks.first_caption", *flags])
        if number:
            rounds.append(json.loads(watched.output.splitlines()[-1]))
    shown = {"rounds": settings.rounds, "batch_size": settings.batch_size}
    return make_report("startup", startup_rows(rounds), shown, argv=argv)


def startup_rows(rounds: Sequence[Mapping[str, float]]) -> list[Row]:
    """Returns a row for the whole and one for each stage.

    Args:
        rounds: seconds of each stage of `STAGES`.
    """
    whole = tuple(sum(found[name] for name in STAGES) for found in rounds)
    stages = [
        Row(name, words, tuple(found[name] for found in rounds), "s")
        for name, words in STAGES.items()
    ]
    what = "process start to first caption"
    return [Row("first_caption", what, whole, "s", TARGET_SECS, at_most=True), *stages]


if __name__ == "__main__":
    sys.exit(main())
