"""TensorFlow with oneDNN, as the job runs it, against TensorFlow's own choice for this CPU.

    python -m benchmarks.onednn

The choice is made once a process, so each round is a process with and one without. Where TensorFlow
turns oneDNN on by itself, both are the same and the ratios are 1.
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

WAYS = ("preferred", "own choice")
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
        print(json.dumps(time_parts(settings)))
        return 0
    publish(measure(settings, list(sys.argv[1:] if argv is None else argv)), settings.json)
    return 0


def time_parts(settings: Settings) -> dict[str, float]:
    """Returns the seconds of each part, the median of some passes after one that does not count."""
    # Imported late: with TensorFlow, which the process that starts the others does not need.
    from benchmarks.throughput import captioner_runs

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
    return make_report("onednn", onednn_rows(speeds), settings.shown(), medians, argv)


def onednn_rows(speeds: Mapping[str, Mapping[str, list[float]]]) -> list[Row]:
    """Returns the ratios of speeds, from images a second by way and part."""
    preferred, own = (speeds[way] for way in WAYS)
    return [
        Row(
            f"onednn_{part.replace(' ', '_')}",
            f"{part}, with oneDNN / TensorFlow's own choice",
            paired_ratios(preferred[part], own[part]),
            "ratio",
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
    early = "" if way == "preferred" else "import tensorflow; "
    return f"{early}from benchmarks.onednn import main; main()"


if __name__ == "__main__":
    sys.exit(main())
