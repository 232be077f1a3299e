"""Encoder, captioner and whole job side by side, over the same photos.

    python -m benchmarks.throughput --images 5000

The encoder and the captioner take pixels in memory; the job takes JPEG files, of 224x224 and of
640x480 pixels, and counts from its first batch to its last. Greedy decoding unless a row says
otherwise. What is compared runs side by side, the captioner before and after each job.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from benchmarks import captioning, jobs
from benchmarks.results import Report, Row, make_report, publish
from benchmarks.settings import Settings, make_parser, settings_from, write_jpegs
from benchmarks.timing import Run, measure_in_turn, median, paired_ratios, rates
from model_lib.bundle import load_bundle
from model_lib.config import Precision
from model_lib.cores import share_cores
from model_lib.onednn_bfloat16 import has_bfloat16

SIZES = {"224x224": (224, 224), "640x480": (640, 480)}
JOB_ROWS = {
    "224x224": ("job_224", "whole job, 224x224 JPEG files / captioner in memory", 0.90),
    "640x480": ("job_640", "the same with 640x480 JPEG files", 0.80),
}
SIXTEEN_BITS: tuple[Precision, ...] = ("bfloat16", "float16")
GPU_PLAN = (
    "encoder alone, captioner greedy and of beam width 3, pixels in memory, on the device",
    "captioner greedy with the encoder in bfloat16 and in float16",
    "whole job, 224x224 and 640x480 JPEG files to Parquet, hosts decoding beside the device",
    "each of them at --batch_size 128; repeat with 64, 256 and 512 to find the knee",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    parser = make_parser(__doc__, images=512, rounds=5)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--job_images", type=int, help="for the whole job (default: --images)")
    arguments = parser.parse_args(argv)
    if arguments.device == "gpu" and not _has_gpu():
        return 2
    settings = settings_from(arguments)
    with tempfile.TemporaryDirectory(prefix="throughput-") as work:
        precisions = SIXTEEN_BITS if arguments.device == "gpu" else _fast_on_this_cpu()
        job_images = arguments.job_images or settings.images
        report = measure(settings, job_images, Path(work), argv, precisions)
    publish(report, settings.json)
    return 0


def _has_gpu() -> bool:
    """Tells whether TensorFlow sees a GPU; says what would be measured where it does not."""
    found = tf.config.list_physical_devices("GPU")
    if found:
        print(f"on {', '.join(device.name for device in found)}:", *GPU_PLAN, sep="\n  ")
        return True
    print("--device gpu: TensorFlow sees no GPU here; nothing was measured.", file=sys.stderr)
    print("On a machine with one the same command measures:", *GPU_PLAN, sep="\n  ")
    return False


def _fast_on_this_cpu() -> tuple[Precision, ...]:
    return ("bfloat16",) if has_bfloat16() else ()


def measure(
    settings: Settings,
    job_images: int,
    work: Path,
    argv: Sequence[str] | None = None,
    precisions: Sequence[Precision] = (),
) -> Report:
    """Measures all rows.

    Args:
        settings: photos, rounds and so on.
        job_images: files of the whole job.
        work: an empty folder for files.
        argv: the command line, for the report.
        precisions: of the encoder, each against float32.
    """
    share_cores(settings.batch_size)
    captions = captioner_runs(settings)
    runs = {
        **captions,
        **job_runs(settings, job_images, work, captions["captioner greedy"]),
        **precision_runs(settings, precisions),
    }
    seconds = measure_in_turn(runs, settings.rounds)
    found = speeds(seconds, settings.images)
    rows = ratio_rows(found)
    medians = {name: median(values) for name, values in found.items()}
    shown = {**settings.shown(), "job_images": job_images}
    return make_report("throughput", rows, shown, medians, argv)


def captioner_runs(settings: Settings) -> dict[str, Run]:
    """Returns runs of the encoder alone, and of the captioner greedy and with beam search."""
    captioner = load_bundle(settings.bundle)
    images = captioning.prepare(captioner, settings)
    size = settings.batch_size
    greedy, beam = captioning.greedy(captioner), captioning.beam(captioner)
    return {
        "captioner beam 3": captioning.caption_run(captioner, images, beam, size),
        "encoder": captioning.encode_run(captioner, images, size),
        "captioner greedy": captioning.caption_run(captioner, images, greedy, size),
    }


def precision_runs(settings: Settings, precisions: Sequence[Precision]) -> dict[str, Run]:
    """Returns runs of the captioner, greedy, with the encoder in other precisions."""
    runs = {}
    for precision in precisions:
        captioner = load_bundle(settings.bundle, precision=precision)
        images = captioning.prepare(captioner, settings)
        runs[f"captioner {precision}"] = captioning.caption_run(
            captioner, images, captioning.greedy(captioner), settings.batch_size
        )
    return runs


def job_runs(settings: Settings, count: int, work: Path, captions: Run) -> dict[str, Run]:
    """Returns runs of the job over JPEG files of each size, and of the captioner after each.

    Args:
        settings: photos and so on.
        count: files of a size.
        work: an empty folder for files.
        captions: the captioner's run, which follows each job.
    """
    runs = {}
    for name, (width, height) in SIZES.items():
        photos = write_jpegs(settings.photos, work / name, count, width, height)
        runs[f"job {name}"] = jobs.steady_run(settings, photos, work)
        runs[f"captioner after {name}"] = captions
    return runs


def speeds(seconds: Mapping[str, list[float]], images: int) -> dict[str, list[float]]:
    """Returns images a second of each run and round.

    Args:
        seconds: of each run and round; of jobs for one image.
        images: of the captioner's runs.
    """
    return {
        name: rates(1 if name.startswith("job ") else images, values)
        for name, values in seconds.items()
    }


def ratio_rows(found: Mapping[str, list[float]]) -> list[Row]:
    """Returns the table's rows from images a second of each run and round."""
    greedy = found["captioner greedy"]
    rows = [
        ("captioner", "captioner in memory / its own encoder alone, greedy", greedy, 0.85),
        ("captioner_beam", "the same with beam width 3", found["captioner beam 3"], 0.70),
    ]
    made = [Row(k, what, paired_ratios(v, found["encoder"]), "ratio", t) for k, what, v, t in rows]
    for precision in SIXTEEN_BITS:
        if values := found.get(f"captioner {precision}"):
            what = f"captioner, greedy, encoder in {precision} / in float32"
            made.append(Row(precision, what, paired_ratios(values, greedy), "ratio"))
    before = greedy
    for name, (key, what, target) in JOB_ROWS.items():
        after = found[f"captioner after {name}"]
        ratios = paired_ratios(found[f"job {name}"], _together(before, after))
        made.append(Row(key, what, ratios, "ratio", target))
        before = after
    return made


def _together(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """Returns images a second of two runs together, round by round."""
    return [2 / (1 / a + 1 / b) for a, b in zip(before, after, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
