"""Where the time of a job's photo goes: captioning, decoding, and all the rest.

    python -m benchmarks.job_parts --images 1280 --rounds 9

All times are of one image, in parts of what the captioner takes for it with everything in memory.
The job's own come from its manifest and from its rows' `captioned_at`, after the first batch, so
neither start nor publishing counts. Greedy decoding.
"""

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import captioning
from benchmarks.jobs import job_run, output_of, seconds_an_image
from benchmarks.results import Report, Row, make_report, publish
from benchmarks.settings import Settings, make_parser, settings_from, write_jpegs
from benchmarks.throughput import SIZES
from benchmarks.timing import Run, measure_in_turn, paired_ratios
from model_lib.bundle import load_bundle
from model_lib.cores import share_cores


@dataclasses.dataclass(frozen=True)
class Parts:
    """Seconds that a job takes for an image, after its first batch.

    Attributes:
        whole: all of it.
        captioning: in the network.
        decoding: in the threads that decode, waits for each other included, over the cores.
    """

    whole: float
    captioning: float
    decoding: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    settings = settings_from(make_parser(__doc__, images=1024, rounds=5).parse_args(argv))
    with tempfile.TemporaryDirectory(prefix="job-parts-") as work:
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
    share_cores(settings.batch_size)
    parts: dict[str, list[Parts]] = {name: [] for name in SIZES}
    runs = captioner_runs(settings)
    runs["at once"]()  # compiles
    for name, (width, height) in SIZES.items():
        photos = write_jpegs(settings.photos, work / name, settings.images, width, height)
        job, output = job_run(settings, photos, work), output_of(photos, work)

        def run(name: str = name, job: Run = job, output: Path = output) -> float:
            job()
            parts[name].append(read_parts(output, settings.batch_size, os.cpu_count() or 1))
            return parts[name][-1].whole * settings.images

        runs[name] = run
    seconds = measure_in_turn(runs, settings.rounds, warm_ups=0)
    return make_report(
        "job_parts", part_rows(seconds, parts, settings.images), settings.shown(), argv=argv
    )


def captioner_runs(settings: Settings) -> dict[str, Run]:
    """Returns runs of the captioner over all images at once, and over a batch at a time."""
    captioner = load_bundle(settings.bundle)
    images, decode = captioning.prepare(captioner, settings), captioning.greedy(captioner)
    size = settings.batch_size

    def batches() -> None:
        for start in range(0, len(images), size):
            captioner.caption_prepared(images[start : start + size], decode, size)

    at_once = captioning.caption_run(captioner, images, decode, size)
    return {"at once": at_once, "batches": batches}


def read_parts(output: Path, batch_size: int, cores: int) -> Parts:
    """Reads what a finished job took for an image.

    Args:
        output: its folder.
        batch_size: images of a batch; all batches were full.
        cores: of this machine.
    """
    manifest: Mapping[str, Any] = json.loads((output / "manifest.json").read_text())
    latencies = manifest["metrics"]["latency_ms"]
    caption, decode = latencies["caption"], latencies["decode"]
    # The first batch compiles the graphs, so it is the longest.
    others = (caption["count"] * caption["mean"] - caption["max"]) / (caption["count"] - 1)
    return Parts(
        whole=seconds_an_image(output, batch_size),
        captioning=others / batch_size / 1000,
        decoding=decode["mean"] / cores / 1000,
    )


def part_rows(
    seconds: Mapping[str, Sequence[float]], parts: Mapping[str, Sequence[Parts]], images: int
) -> list[Row]:
    """Returns the rows, each in parts of the captioner's time for an image, all images at once.

    Args:
        seconds: of the captioner's runs `at once` and `batches`, each round.
        parts: of each size of files, each round.
        images: of the captioner's runs.
    """
    base = [value / images for value in seconds["at once"]]
    batches = paired_ratios(seconds["batches"], seconds["at once"])
    rows = [Row("batches", "the captioner, given a batch at a time", batches)]
    for name, found in parts.items():
        columns = {
            "whole": (f"a job's photo, {name} JPEG files", [one.whole for one in found]),
            "captioning": ("of it captioning", [one.captioning for one in found]),
            "decoding": ("decoding", [one.decoding for one in found]),
            "rest": (
                "the rest: reading, waiting, Beam, writing",
                [one.whole - one.captioning - one.decoding for one in found],
            ),
        }
        rows += [
            Row(f"{key}_{name}", what, paired_ratios(values, base))
            for key, (what, values) in columns.items()
        ]
    return rows


if __name__ == "__main__":
    sys.exit(main())
