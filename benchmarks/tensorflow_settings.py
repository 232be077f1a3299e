"""TensorFlow as the job sets it, against its own choice of kernels, and of threads, on this CPU.

    python -m benchmarks.tensorflow_settings

A choice is made once a process, so each round is a process for each. Where TensorFlow turns oneDNN
on by itself, and where there is one core, both are the same and the ratios are 1.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from benchmarks.results import Report, Row, make_report, publish
from benchmarks.settings import ROOT, Settings, make_parser, settings_from
from benchmarks.timing import Run, measure_in_turn, median, paired_ratios, rates
from model_lib.onednn import VARIABLE

AS_THE_JOB = "as the job"
OWN_KERNELS = "own kernels"
OWN_THREADS = "own threads"
WAYS = (AS_THE_JOB, OWN_KERNELS, OWN_THREADS)
# The runs, as `throughput.captioner_runs` calls them.
PARTS = ("encoder", "captioner greedy", "captioner beam 3")
PASSES = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    parser = make_parser(__doc__, images=256, rounds=5)
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    settings = settings_from(arguments)
    if arguments.child:
        print(json.dumps(time_parts(settings, arguments.child)))
        return 0
    publish(measure(settings, list(sys.argv[1:] if argv is None else argv)), settings.json)
    return 0


def time_parts(settings: Settings, way: str) -> dict[str, float]:
    """Returns the seconds of each part, the median of some passes after one that does not count."""
    # Imported late: with TensorFlow, which the process that starts the others does not need.
    from benchmarks.throughput import captioner_runs
    from model_lib.cores import share_cores

    if way != OWN_THREADS:
        share_cores(settings.batch_size)
    seconds = measure_in_turn(captioner_runs(settings), PASSES, quiet=True)
    return {name: median(values) for name, values in seconds.items()}


def measure(settings: Settings, argv: Sequence[str]) -> Report:
    """Measures all rows.

    Args:
        settings: photos, rounds and so on.
        argv: the command line, which the processes get too.
    """
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}

    def run_of(way: str) -> Run:
        def run() -> None:
            found[way].append(_in_child(way, argv))

        return run

    measure_in_turn({way: run_of(way) for way in WAYS}, settings.rounds, warm_ups=0)
    speeds = {
        way: {part: rates(settings.images, [one[part] for one in found[way]]) for part in PARTS}
        for way in WAYS
    }
    medians = {
        f"{part}, {way}": median(values) for way in WAYS for part, values in speeds[way].items()
    }
    rows = settings_rows(speeds)
    return make_report("tensorflow_settings", rows, settings.shown(), medians, argv)


def settings_rows(speeds: Mapping[str, Mapping[str, list[float]]]) -> list[Row]:
    """Returns the ratios of speeds, from images a second by way and part."""
    return [
        Row(
            f"{key}_{part.replace(' ', '_')}",
            f"{part}, {what}",
            paired_ratios(speeds[AS_THE_JOB][part], speeds[other][part]),
            "ratio",
        )
        for key, what, other in (
            ("onednn", "with oneDNN / TensorFlow's own choice of kernels", OWN_KERNELS),
            ("threads", "cores shared / each operation on all cores", OWN_THREADS),
        )
        for part in PARTS
    ]


def _in_child(way: str, argv: Sequence[str]) -> dict[str, float]:
    """Runs the parts in a process of its own."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment.pop(VARIABLE, None)
    words = [sys.executable, "-W", "ignore", "-c", _program(way), *argv, "--child", way]
    run = subprocess.run(
        words, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


def _program(way: str) -> str:
    """Returns what a process begins with: TensorFlow is imported with nothing set, or after."""
    early = "import tensorflow; " if way == OWN_KERNELS else ""
    return f"{early}from benchmarks.tensorflow_settings import main; main()"


if __name__ == "__main__":
    sys.exit(main())
