"""A few ratios in under three minutes, against a stored baseline: `make bench`.

    python -m benchmarks.short             exits 1 where a ratio fell by more than 30 %
    python -m benchmarks.short --update    writes benchmarks/baseline.json anew

On the sample photos of the repository, so that it runs anywhere. A ratio that rose, or is new, is
only shown. A busy minute of a shared machine is no change of the code: where a ratio fell, all are
measured up to twice more and the best values count, and a baseline is the lower of two
measurements.
"""

import dataclasses
import datetime
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import captioning, jobs
from benchmarks.keras_predict import predict_run
from benchmarks.peer_course import CourseLoop
from benchmarks.results import machine
from benchmarks.settings import (
    EXAMPLES,
    Settings,
    make_parser,
    settings_from,
    write_jpegs,
)
from benchmarks.throughput import captioner_runs
from benchmarks.timing import Run, measure_in_turn, median, paired_ratios
from model_lib.bundle import load_bundle

BASELINE = Path(__file__).parent / "baseline.json"
TOLERANCE = 0.30
COURSE_IMAGES = 6
MOST_MEASUREMENTS = 3


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One ratio, then and now.

    Attributes:
        name: of the ratio.
        baseline: stored; None where it is new.
        measured: now; None where it is no longer measured.
    """

    name: str
    baseline: float | None
    measured: float | None

    @property
    def has_fallen(self) -> bool:
        """Whether it is more than 30 % below the baseline."""
        if self.baseline is None or self.measured is None:
            return False
        return self.measured < self.baseline * (1 - TOLERANCE)

    def line(self) -> str:
        """Returns it as a line of text."""
        if self.baseline is None:
            return f"{self.name:<24}{'new':>9}{self.measured:9.2f}"
        if self.measured is None:
            return f"{self.name:<24}{self.baseline:9.2f}{'gone':>9}"
        change = self.measured / self.baseline - 1
        verdict = f"  fell by more than {TOLERANCE:.0%}" if self.has_fallen else ""
        return f"{self.name:<24}{self.baseline:9.2f}{self.measured:9.2f}{change:+9.0%}{verdict}"


def compare(baseline: Mapping[str, float], measured: Mapping[str, float]) -> list[Comparison]:
    """Returns every ratio of either, the baseline's first."""
    names = [*baseline, *(name for name in measured if name not in baseline)]
    return [Comparison(name, baseline.get(name), measured.get(name)) for name in names]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and compares; returns the exit code."""
    parser = make_parser(__doc__, images=128, rounds=3)
    parser.add_argument("--update", action="store_true", help="store what is measured now")
    # Two batches of the default size would take too long.
    parser.set_defaults(photos=str(EXAMPLES), batch_size=64)
    arguments = parser.parse_args(argv)
    settings = settings_from(arguments)
    return judge(lambda: measure(settings), update=arguments.update)


def judge(
    measure_now: Callable[[], Mapping[str, float]], *, update: bool, baseline: Path = BASELINE
) -> int:
    """Compares with the stored baseline, or stores a new one.

    Args:
        measure_now: gives ratios by name; called again where one has fallen, and for a baseline.
        update: whether to store them.
        baseline: the file.

    Returns:
        0; 1 where a ratio fell by more than 30 % in each of three measurements.
    """
    measured = measure_now()
    if update:
        measured = _each(min, measured, measure_now())
        baseline.write_text(json.dumps(_stored(measured), indent=1) + "\n")
        print(f"{baseline}: written")
        return 0
    stored: dict[str, float] = json.loads(baseline.read_text())["ratios"]
    comparisons = compare(stored, measured)
    for _ in range(MOST_MEASUREMENTS - 1):
        if not any(comparison.has_fallen for comparison in comparisons):
            break
        print("a ratio has fallen; measuring once more", file=sys.stderr)
        measured = _each(max, measured, measure_now())
        comparisons = compare(stored, measured)
    print(f"{'ratio':<24}{'baseline':>9}{'now':>9}{'change':>9}")
    print(*(comparison.line() for comparison in comparisons), sep="\n")
    return int(any(comparison.has_fallen for comparison in comparisons))


def _each(
    choose: Callable[[float, float], float], one: Mapping[str, float], other: Mapping[str, float]
) -> dict[str, float]:
    return {name: choose(value, other[name]) for name, value in one.items()}


def _stored(measured: Mapping[str, float]) -> dict[str, Any]:
    return {
        "command": "python -m benchmarks.short --update",
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "ratios": {name: round(value, 3) for name, value in measured.items()},
    }


def measure(settings: Settings) -> dict[str, float]:
    """Returns the ratios."""
    with tempfile.TemporaryDirectory(prefix="short-") as work:
        runs = {
            **captioner_runs(settings),
            **_peer_runs(settings),
            "job": _job_run(settings, Path(work)),
        }
        seconds = measure_in_turn(runs, settings.rounds)
    return ratios(seconds, settings.images)


def ratios(seconds: Mapping[str, Sequence[float]], images: int) -> dict[str, float]:
    """Returns the ratios of speeds from the seconds of each run and round.

    Args:
        seconds: of `encoder`, `captioner greedy`, `captioner beam 3` and `Keras predict` for all
            images, and for one image of `course` and `job`.
        images: of one run.
    """
    encoder, greedy = seconds["encoder"], seconds["captioner greedy"]
    all_in_job = [value * images for value in seconds["job"]]
    pairs = {
        "captioner / encoder": (encoder, greedy),
        "beam 3 / encoder": (encoder, seconds["captioner beam 3"]),
        "encoder / Keras predict": (seconds["Keras predict"], encoder),
        "job / captioner": (greedy, all_in_job),
        "job / course's loop": (seconds["course"], seconds["job"]),
    }
    return {name: median(paired_ratios(slow, fast)) for name, (slow, fast) in pairs.items()}


def _peer_runs(settings: Settings) -> dict[str, Run]:
    captioner = load_bundle(settings.bundle)
    images = captioning.prepare(captioner, settings)
    pixels = captioning.stack(images).astype(np.float32)
    paths = sorted(EXAMPLES.glob("*.jpg"))
    loop = CourseLoop(captioner, keeps_vocabulary=True)

    def course() -> float:
        begin = time.perf_counter()
        for number in range(COURSE_IMAGES):
            loop.caption(paths[number % len(paths)])
        return (time.perf_counter() - begin) / COURSE_IMAGES

    predict = predict_run(captioner.encoder, pixels, settings.batch_size)
    return {"Keras predict": predict, "course": course}


def _job_run(settings: Settings, work: Path) -> Run:
    side = load_bundle(settings.bundle).info.preprocess.image_size
    photos = write_jpegs(settings.photos, work / "photos", settings.images, side, side)
    return jobs.steady_run(settings, photos, work)


if __name__ == "__main__":
    sys.exit(main())
