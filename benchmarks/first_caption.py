"""A job in this process that notes when each stage of its start ends; prints them as JSON.

    python -m benchmarks.first_caption FLAGS-OF-CAPTION-IMAGES

Started by `benchmarks.startup`. The handler's two methods and Python's import are wrapped; nothing
else of the job is touched. TensorFlow's import is timed wherever it happens. The first batch runs
twice, and the second time, without tracing, is the batch's own.
"""

import builtins
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HEAVY = ("tensorflow", "keras")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def process_age_secs() -> float:
    """Returns the seconds since this process was started."""
    after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started_ticks = int(after_name[19])
    uptime_secs = float(Path("/proc/uptime").read_text().split()[0])
    return uptime_secs - started_ticks / CLOCK_TICKS


class ImportTimer:
    """Stands in for `__import__`; adds up the seconds of TensorFlow's and Keras's first imports."""

    def __init__(self) -> None:
        """Keeps Python's own import."""
        self._import = builtins.__import__
        self._is_timing = False
        self.secs = 0.0

    def __call__(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Imports as Python does."""
        package = name.partition(".")[0]
        if self._is_timing or package not in HEAVY or package in sys.modules:
            return self._import(name, *arguments, **options)
        self._is_timing = True
        start = time.perf_counter()
        try:
            return self._import(name, *arguments, **options)
        finally:
            self.secs += time.perf_counter() - start
            self._is_timing = False


def main(argv: Sequence[str]) -> int:
    """Runs the job and prints the seconds of each stage; returns the job's exit code."""
    marks = {"python": process_age_secs()}
    begin = time.perf_counter()
    timer = ImportTimer()
    builtins.__import__ = timer

    import beam_jobs.job  # noqa: F401  imported late by the command line; here for its time
    from beam_jobs import caption_images
    from beam_jobs.model_handler import CaptionModelHandler

    marks["beam"] = time.perf_counter() - begin - timer.secs
    begin = time.perf_counter() - timer.secs
    _wrap(CaptionModelHandler, marks, timer, begin)
    code = caption_images.main(argv)
    print(json.dumps(marks))
    return code


def _wrap(handler: Any, marks: dict[str, float], timer: ImportTimer, begin: float) -> None:
    """Lets the handler's methods note their times.

    Args:
        handler: the class.
        marks: seconds of each stage, to be filled.
        timer: of TensorFlow's import, which does not count as the pipeline's.
        begin: when the job began, on `time.perf_counter`, less what was imported by then.
    """
    load, infer = handler.load_model, handler.run_inference

    def timed_load(self: Any) -> Any:
        import model_lib.captioner  # noqa: F401  TensorFlow and Keras come with it

        marks["tensorflow"] = timer.secs
        marks["pipeline"] = time.perf_counter() - begin - timer.secs
        start = time.perf_counter()
        model = load(self)
        marks["load"] = time.perf_counter() - start
        return model

    def timed_inference(self: Any, *arguments: Any, **options: Any) -> Any:
        if "trace" in marks:
            return infer(self, *arguments, **options)
        start = time.perf_counter()
        infer(self, *arguments, **options)
        first_secs = time.perf_counter() - start
        start = time.perf_counter()
        results = infer(self, *arguments, **options)
        marks["batch"] = time.perf_counter() - start
        marks["trace"] = first_secs - marks["batch"]
        return results

    handler.load_model = timed_load
    handler.run_inference = timed_inference


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
