"""TensorFlow as the job sets it, against its own choice of kernels, and of threads, on this CPU.

    python -m benchmarks.tensorflow_settings

A choice is made once a process, so there is a process for each, and they take turns. Where
TensorFlow turns oneDNN on by itself, and where there is one core, both are the same and the ratios
are 1.
"""

import argparse
import contextlib
import functools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.results import Report, Row, make_report, publish
from benchmarks.settings import ROOT, Settings, make_parser, settings_from
from benchmarks.timing import measure_in_turn, median, paired_ratios, rates
from model_lib.onednn import VARIABLE

AS_THE_JOB = "as the job"
OWN_KERNELS = "own kernels"
OWN_THREADS = "own threads"
WAYS = (AS_THE_JOB, OWN_KERNELS, OWN_THREADS)
# The runs, as `throughput.captioner_runs` calls them.
PARTS = ("encoder", "captioner greedy", "captioner beam 3")


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    parser = make_parser(__doc__, images=256, rounds=11)
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    settings = settings_from(arguments)
    if arguments.child:
        time_parts(settings, arguments.child)
        return 0
    publish(measure(settings, list(sys.argv[1:] if argv is None else argv)), settings.json)
    return 0


def time_parts(settings: Settings, way: str) -> None:
    """Runs each part that standard input names, and writes its seconds to standard output."""
    # Imported late: with TensorFlow, which the process that starts the others does not need.
    from benchmarks.throughput import captioner_runs
    from model_lib.cores import share_cores

    if way != OWN_THREADS:
        share_cores(settings.batch_size)
    runs = captioner_runs(settings)
    for line in sys.stdin:
        begin = time.perf_counter()
        runs[line.strip()]()
        print(time.perf_counter() - begin, flush=True)


def measure(settings: Settings, argv: Sequence[str]) -> Report:
    """Measures all rows.

    Args:
        settings: photos, rounds and so on.
        argv: the command line, which the processes get too.
    """
    with contextlib.ExitStack() as stack:
        children = {way: stack.enter_context(_child(way, argv)) for way in WAYS}
        runs = {
            f"{part}, {way}": functools.partial(_ask, children[way], part)
            for part in PARTS
            for way in WAYS
        }
        seconds = measure_in_turn(runs, settings.rounds)
    found = {name: rates(settings.images, values) for name, values in seconds.items()}
    speeds = {way: {part: found[f"{part}, {way}"] for part in PARTS} for way in WAYS}
    medians = {name: median(values) for name, values in found.items()}
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


@contextlib.contextmanager
def _child(way: str, argv: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """A process that runs the parts; it ends with its standard input."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment.pop(VARIABLE, None)
    words = [sys.executable, "-W", "ignore", "-c", _program(way), *argv, "--child", way]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True
    ) as child:
        yield child


def _ask(child: "subprocess.Popen[str]", part: str) -> float:
    """Has a part run once; returns its seconds."""
    assert child.stdin
    assert child.stdout
    child.stdin.write(f"{part}\n")
    child.stdin.flush()
    answer = child.stdout.readline()
    if not answer:
        raise SystemExit(f"the process that runs {part} has ended; its error stands above")
    return float(answer)


def _program(way: str) -> str:
    """Returns what a process begins with: TensorFlow is imported with nothing set, or after."""
    early = "import tensorflow; " if way == OWN_KERNELS else ""
    return f"{early}from benchmarks.tensorflow_settings import main; main()"


if __name__ == "__main__":
    sys.exit(main())
