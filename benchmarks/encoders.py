"""The encoder in ONNX Runtime: inside the captioner, and by itself, side by side.

    python -m benchmarks.encoders

Minutes, so it can have more rounds than the other programs. Needs the extra `bench`.
"""

import sys
from collections.abc import Mapping, Sequence

import tensorflow as tf

from benchmarks import captioning, peer_onnx
from benchmarks.results import Report, Row, make_report, publish
from benchmarks.settings import Settings, make_parser, settings_from
from benchmarks.timing import Run, measure_in_turn, median, paired_ratios, rates
from model_lib.bundle import load_bundle
from model_lib.captioner import Captioner
from model_lib.cores import share_cores
from model_lib.preprocessing import PreparedImage


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    settings = settings_from(make_parser(__doc__, images=256, rounds=15).parse_args(argv))
    publish(measure(settings, argv), settings.json)
    return 0


def measure(settings: Settings, argv: Sequence[str] | None = None) -> Report:
    """Measures all rows.

    Args:
        settings: photos, rounds and so on.
        argv: the command line, for the report.
    """
    share_cores(settings.batch_size)
    captioner = load_bundle(settings.bundle)
    faster = load_bundle(settings.bundle, encoder_runtime="onnxruntime")
    images = captioning.prepare(captioner, settings)
    ways = peer_onnx.encode_runs(captioner, images, settings.batch_size)
    runs = {**_own_runs(captioner, faster, images, settings.batch_size), **ways}
    seconds = measure_in_turn(runs, settings.rounds)
    found = speeds(seconds, settings.images, list(ways))
    medians = {name: median(values) for name, values in found.items()}
    some = images[: settings.batch_size]
    theirs = peer_onnx.encode_function(captioner, len(some))(captioning.stack(some))
    difference = peer_onnx.largest_difference(captioner.encode_prepared(some), theirs)
    note = f"its fastest way; features differ by {difference:.0e} of the largest"
    return make_report("encoders", encoder_rows(found, note), settings.shown(), medians, argv)


def _own_runs(
    captioner: Captioner, faster: Captioner, images: Sequence[PreparedImage], size: int
) -> dict[str, Run]:
    greedy = captioning.greedy(captioner)
    return {
        "encoder": captioning.encode_run(captioner, images, size),
        "encoder, onnxruntime": captioning.encode_run(faster, images, size),
        "captioner": captioning.caption_run(captioner, images, greedy, size),
        "captioner, onnxruntime": captioning.caption_run(faster, images, greedy, size),
    }


def speeds(
    seconds: Mapping[str, list[float]], images: int, ways: Sequence[str]
) -> dict[str, list[float]]:
    """Returns images a second of each run and round.

    Args:
        seconds: of each run and round.
        images: of each run.
        ways: runs of ONNX Runtime by itself; the one with the smallest median is kept, and is
            called `ONNX Runtime`.
    """
    fastest = min(ways, key=lambda way: median(seconds[way]))
    own = {name: values for name, values in seconds.items() if name not in ways}
    chosen = {**own, "ONNX Runtime": seconds[fastest]}
    return {name: rates(images, values) for name, values in chosen.items()}


def encoder_rows(found: Mapping[str, list[float]], note: str) -> list[Row]:
    """Returns the ratios of speeds; `note` says how the two encoders' features compare."""

    def ratio(left: str, right: str) -> tuple[float, ...]:
        return paired_ratios(found[left], found[right])

    runtime = "`--encoder_runtime onnxruntime`"
    inside = "encoder inside the captioner"
    return [
        Row(
            "onnx",
            f"{inside}, {runtime} / ONNX Runtime",
            ratio("encoder, onnxruntime", "ONNX Runtime"),
            "ratio",
            1.0,
            note=note,
        ),
        Row(
            "onnx_tensorflow",
            f"{inside}, in TensorFlow (the default) / ONNX Runtime",
            ratio("encoder", "ONNX Runtime"),
            "ratio",
        ),
        Row(
            "onnx_captioner",
            f"captioner, {runtime} / the default, greedy",
            ratio("captioner, onnxruntime", "captioner"),
            "ratio",
        ),
    ]


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    sys.exit(main())
