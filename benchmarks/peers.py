"""The captioner and the job against what else one would use, side by side.

    python -m benchmarks.peers

The loop of Google's course; Beam's stock way of inference; Keras `predict` of InceptionResNetV2
(random weights) against a captioner with it. Needs the extra `bench`.
"""

import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks import captioning, jobs, peer_beam
from benchmarks.keras_predict import predict_run, predict_without_waits_run
from benchmarks.peer_course import CourseLoop
from benchmarks.results import Report, Row, make_report, publish
from benchmarks.settings import Settings, link_photos, make_parser, settings_from, write_jpegs
from benchmarks.timing import Run, measure_in_turn, median, paired_ratios, rates
from model_lib.bundle import load_bundle
from model_lib.captioner import Captioner
from model_lib.decoder import build_decoder
from model_lib.encoder import build_encoder

INCEPTION_SIDE = 299


@dataclasses.dataclass(frozen=True)
class PeerSettings:
    """How many images each slow peer captions in a round.

    Attributes:
        course_images: of the course's loop.
        stock_images: of Beam's stock way; as many again are its start's batch.
        inception_images: of InceptionResNetV2.
    """

    course_images: int = 32
    stock_images: int = 256
    inception_images: int = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    parser = make_parser(__doc__, images=512, rounds=5)
    for field in dataclasses.fields(PeerSettings):
        help_text = "in each round (default: %(default)s)"
        parser.add_argument(f"--{field.name}", type=int, default=field.default, help=help_text)
    arguments = parser.parse_args(argv)
    names = [field.name for field in dataclasses.fields(PeerSettings)]
    peers = PeerSettings(**{name: getattr(arguments, name) for name in names})
    settings = settings_from(arguments)
    with tempfile.TemporaryDirectory(prefix="peers-") as work:
        report = measure(settings, peers, Path(work), argv)
    publish(report, settings.json)
    return 0


def measure(
    settings: Settings, peers: PeerSettings, work: Path, argv: Sequence[str] | None = None
) -> Report:
    """Measures all rows.

    Args:
        settings: photos, rounds and so on.
        peers: images of the slow peers.
        work: an empty folder for files.
        argv: the command line, for the report.
    """
    captioner = load_bundle(settings.bundle)
    side = captioner.info.preprocess.image_size
    photos = write_jpegs(settings.photos, work / "photos", settings.images, side, side)
    runs = {
        **_job_runs(settings, photos, work),
        **_course_runs(captioner, photos, peers.course_images),
        **_stock_runs(settings, peers, photos, work),
        **_inception_runs(captioner, settings, peers),
    }
    found = _speeds(measure_in_turn(runs, settings.rounds), settings, peers)
    medians = {name: median(values) for name, values in found.items()}
    shown = {**settings.shown(), **dataclasses.asdict(peers)}
    return make_report("peers", _rows(found), shown, medians, argv)


def _job_runs(settings: Settings, photos: Path, work: Path) -> dict[str, Run]:
    one_batch = link_photos(photos, work / "start", settings.batch_size)
    return {
        "job": jobs.job_run(settings, photos, work),
        "start": jobs.job_run(settings, one_batch, work),
    }


def _course_runs(captioner: Captioner, photos: Path, count: int) -> dict[str, Run]:
    paths = sorted(photos.iterdir())[:count]

    def run_of(loop: CourseLoop) -> Run:
        def run() -> None:
            for path in paths:
                loop.caption(path)

        return run

    return {
        "course": run_of(CourseLoop(captioner)),
        "course, vocabulary kept": run_of(CourseLoop(captioner, keeps_vocabulary=True)),
    }


def _stock_runs(
    settings: Settings, peers: PeerSettings, photos: Path, work: Path
) -> dict[str, Run]:
    """Returns runs of Beam's stock way over its photos, and over one batch of them."""
    encoder = peer_beam.save_encoder(settings.bundle, work)

    def run_of(name: str, count: int) -> Run:
        folder = link_photos(photos, work / name, count)
        output = work / f"{name}-output"

        def run() -> None:
            shutil.rmtree(output, ignore_errors=True)
            peer_beam.run_stock_pipeline(settings.bundle, encoder, folder, output)

        return run

    return {
        "stock": run_of("stock", peers.stock_images + settings.batch_size),
        "stock start": run_of("stock-start", settings.batch_size),
    }


def _inception_runs(
    captioner: Captioner, settings: Settings, peers: PeerSettings
) -> dict[str, Run]:
    """Returns runs of InceptionResNetV2: Keras `predict`, and a captioner around it."""
    encoder = build_encoder("InceptionResNetV2", INCEPTION_SIDE, weights=None)
    info = captioner.info
    words = len(captioner.tokenizer)
    decoder = build_decoder(info.model, words, encoder.output_shape[1:])
    preprocess = info.preprocess.replace(image_size=INCEPTION_SIDE)
    parts = (
        dataclasses.replace(info, preprocess=preprocess),
        encoder,
        decoder,
        captioner.tokenizer,
    )
    larger, faster = Captioner(*parts), Captioner(*parts, encoder_runtime="onnxruntime")
    some = dataclasses.replace(settings, images=peers.inception_images)
    images = captioning.prepare(larger, some)
    pixels = captioning.stack(images).astype(np.float32)

    greedy, size = captioning.greedy(captioner), settings.batch_size
    return {
        "Inception predict": predict_run(encoder, pixels, size),
        "Inception predict, no waits": predict_without_waits_run(encoder, pixels, size),
        "Inception captioner": captioning.caption_run(larger, images, greedy, size),
        "Inception captioner, onnxruntime": captioning.caption_run(faster, images, greedy, size),
    }


def _speeds(
    seconds: Mapping[str, list[float]], settings: Settings, peers: PeerSettings
) -> dict[str, list[float]]:
    """Returns images a second of each run and round; pipelines without their start."""
    job = jobs.without_start(seconds["job"], seconds["start"])
    stock = jobs.without_start(seconds["stock"], seconds["stock start"])
    counts = {
        "course": peers.course_images,
        "course, vocabulary kept": peers.course_images,
        "Inception predict": peers.inception_images,
        "Inception predict, no waits": peers.inception_images,
        "Inception captioner": peers.inception_images,
        "Inception captioner, onnxruntime": peers.inception_images,
    }
    return {
        **{name: rates(count, seconds[name]) for name, count in counts.items()},
        "job": rates(settings.images - settings.batch_size, job),
        "stock": rates(peers.stock_images, stock),
    }


def _rows(found: Mapping[str, list[float]]) -> list[Row]:
    table = [
        ("course", "whole job / the course's loop", "job", "course", 15.0),
        (
            "course_kept",
            "whole job / the same loop, its vocabulary fetched once",
            "job",
            "course, vocabulary kept",
            None,
        ),
        ("stock", "whole job / Beam's stock way", "job", "stock", 3.0),
        (
            "inception",
            "captioner with InceptionResNetV2 / Keras `predict` of that encoder",
            "Inception captioner",
            "Inception predict",
            1.8,
        ),
        (
            "inception_onnx",
            "the same with `--encoder_runtime onnxruntime`",
            "Inception captioner, onnxruntime",
            "Inception predict",
            None,
        ),
        (
            "inception_no_waits",
            "captioner with InceptionResNetV2 / `predict` without its waits for tf.data",
            "Inception captioner",
            "Inception predict, no waits",
            None,
        ),
        (
            "inception_onnx_no_waits",
            "the same with `--encoder_runtime onnxruntime`",
            "Inception captioner, onnxruntime",
            "Inception predict, no waits",
            None,
        ),
    ]
    return [
        Row(key, what, paired_ratios(found[left], found[right]), "ratio", target)
        for key, what, left, right, target in table
    ]


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    sys.exit(main())
