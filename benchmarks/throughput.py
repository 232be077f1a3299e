"""Images a second: the bare encoder, the captioner in memory, and the whole job.

    python -m benchmarks.throughput --photos FOLDER

Takes a folder of photos; measures the three in turn over the same photos, several rounds in one
run, and prints medians and ratios. Ratios hold on shared, noisy machines; absolute numbers do
not. The job is counted without its start (imports, loading, tracing), which is measured by a
job of one photo and printed apart.
"""

import argparse
import contextlib
import datetime
import io
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from beam_jobs import caption_images
from model_lib.bundle import default_bundle_path, load_bundle
from model_lib.captioner import Captioner
from model_lib.compiled import freeze
from model_lib.preprocessing import PreparedImage

EXAMPLES = Path(__file__).parent.parent / "examples" / "photos"
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code."""
    arguments = _parser().parse_args(argv)
    captioner = load_bundle(arguments.bundle)
    with tempfile.TemporaryDirectory(prefix="throughput-") as work:
        folder = _fill_folder(Path(arguments.photos), Path(work) / "photos", arguments.images)
        images = [captioner.preprocessor(path.read_bytes()) for path in sorted(folder.iterdir())]
        runs = {
            "encoder": _encoder_run(captioner, images, arguments.batch_size),
            "captioner": lambda: captioner.caption_prepared(
                images, batch_size=arguments.batch_size
            ),
            "job": _job_run(arguments, folder, Path(work)),
        }
        one_photo = _fill_folder(folder, Path(work) / "one", 1)
        start = _job_run(arguments, one_photo, Path(work))
        seconds = _measure(runs, start, arguments.rounds)
    _print_table(arguments, seconds, len(images), captioner)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", default=str(EXAMPLES), help="folder (default: %(default)s)")
    parser.add_argument(
        "--images", type=int, default=512, help="photos to use, repeated where there are fewer"
    )
    parser.add_argument("--bundle", default=default_bundle_path(), help="default: the shipped one")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3, help="after one warm-up round")
    return parser


def _fill_folder(source: Path, target: Path, count: int) -> Path:
    """Links `count` photos into a folder, under new names where they repeat."""
    paths = sorted(p for p in source.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES)
    if not paths:
        raise SystemExit(f"--photos {source}: no photos ({', '.join(PHOTO_SUFFIXES)}) in it")
    target.mkdir(parents=True)
    for number in range(count):
        path = paths[number % len(paths)]
        (target / f"{number:06d}{path.suffix}").symlink_to(path.resolve())
    return target


def _encoder_run(
    captioner: Captioner, images: list[PreparedImage], batch_size: int
) -> Callable[[], Any]:
    """The encoder alone, frozen as the captioner has it, on whole batches of pixels."""
    pixels = np.stack([image.pixels for image in images])
    size = pixels.shape[1]
    run = freeze(
        lambda batch: captioner.encoder(tf.cast(batch, tf.float32), training=False),
        [tf.TensorSpec([batch_size, size, size, 3], tf.uint8)],
    )
    starts = range(0, len(pixels) - batch_size + 1, batch_size)
    return lambda: [run(pixels[start : start + batch_size])[0].numpy() for start in starts]


def _job_run(arguments: argparse.Namespace, folder: Path, work: Path) -> Callable[[], Any]:
    def run() -> None:
        output = work / "output"
        shutil.rmtree(output, ignore_errors=True)
        flags = ["--input", str(folder), "--output", str(output), "--bundle", arguments.bundle]
        flags += ["--batch_size", str(arguments.batch_size), "--quiet", "--no_report"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            code = caption_images.main(flags)
        if code:
            raise SystemExit(f"caption-images {' '.join(flags)} ended with exit code {code}")

    return run


def _measure(
    runs: dict[str, Callable[[], Any]], start: Callable[[], Any], rounds: int
) -> dict[str, list[float]]:
    """Runs everything in turn, round after round; the first round does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in (*runs, "start")}
    for number in range(rounds + 1):
        for name, run in (*runs.items(), ("start", start)):
            begin = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - begin)
    seconds["job"] = [job - one for job, one in zip(seconds["job"], seconds["start"], strict=True)]
    return seconds


def _print_table(
    arguments: argparse.Namespace,
    seconds: dict[str, list[float]],
    count: int,
    captioner: Captioner,
) -> None:
    whole_batches = count // arguments.batch_size * arguments.batch_size
    rates = {
        name: [(whole_batches if name == "encoder" else count) / value for value in seconds[name]]
        for name in ("encoder", "captioner", "job")
    }
    print(f"command:  python -m benchmarks.throughput {' '.join(sys.argv[1:])}")
    print(f"machine:  {os.cpu_count()} cores, {platform.machine()}, TensorFlow {tf.__version__}")
    print(f"date:     {datetime.date.today().isoformat()}")
    print(f"bundle:   {captioner.info.name}, {captioner.info.decode.to_json()}")
    print(f"photos:   {count}, batch {arguments.batch_size}, median of {arguments.rounds} rounds")
    for name, values in rates.items():
        print(f"{name:<10}{statistics.median(values):9.1f} images/s")
    for name, base in (("captioner", "encoder"), ("job", "captioner")):
        ratio = statistics.median(a / b for a, b in zip(rates[name], rates[base], strict=True))
        print(f"{name} / {base}: {ratio:.2f}")
    print(f"start of the job (one photo): {statistics.median(seconds['start']):.1f} s")


if __name__ == "__main__":
    sys.exit(main())
