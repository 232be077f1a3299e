"""`train-captioner`: from captioned photos to a bundle, evaluated, with a model card.

Takes a command line; gives an exit code: 0 done, 2 the command line or the data is wrong. An
interrupted training goes on with `--resume`.
"""

import argparse
import datetime
import logging
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_lib.errors import ConfigError
from model_lib.quiet_tensorflow import load_tensorflow_as_told
from train import console
from train.arguments import ArgumentParser, add_config_flags, config_from_flags
from train.config import TrainConfig
from train.output_folder import check_output, record_settings
from train.presets import PRESETS

DESCRIPTION = """\
Trains an image captioner on captioned photos and writes it as a bundle, which caption-images
and evaluate-captioner take. The encoder stays frozen, or all of it but its last layers
(--fine_tune_from); what a frozen part computes is computed once and kept."""
EPILOG = """\
examples:
  train-captioner --preset flickr8k-small --data flickr8k/ \\
      --encoder efficientnet_lite0_imagenet.keras --output runs/flickr8k
  train-captioner --preset asl-coco --data coco_captions --output runs/asl-coco
  train-captioner ... --resume          (the same command again, after an interruption)

exit codes: 0 done; 2 the command line or the data is wrong; 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Trains.

    Args:
        argv: the command line without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return console.run(
        "train-captioner",
        lambda: train(build_parser().parse(words), words),
        if_interrupted="interrupted; the same command with --resume goes on",
    )


def build_parser() -> ArgumentParser:
    """Returns the parser of all flags."""
    parser = ArgumentParser(
        prog="train-captioner",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    data = parser.add_argument_group("Data")
    console.add_data_flags(data)
    data.add_argument(
        "--data_note", default="", metavar="TEXT", help="origin and licence, for the model card"
    )
    data.add_argument(
        "--encoder_note", default="", metavar="TEXT", help="the encoder's, for the model card"
    )
    output = parser.add_argument_group("Output")
    output.add_argument(
        "--output",
        required=True,
        metavar="FOLDER",
        help="gets bundle/, learning_curve.png, checkpoints and TensorBoard logs (required)",
    )
    output.add_argument("--resume", action="store_true", help="go on after the last whole epoch")
    output.add_argument(
        "--cache_dir",
        default="~/.cache/batch-image-captioning/features",
        metavar="FOLDER",
        help="where encoder features are kept for later trainings (default: %(default)s)",
    )
    settings = parser.add_argument_group("Settings (what is left out is as the preset says)")
    settings.add_argument(
        "--preset", choices=tuple(PRESETS), default="course", help="(default: %(default)s)"
    )
    add_config_flags(settings, TrainConfig)
    return parser


def train(arguments: argparse.Namespace, words: Sequence[str]) -> None:
    """Trains, evaluates, and completes the bundle with metrics and model card.

    Args:
        arguments: of `build_parser`.
        words: the command line, for the record.

    Raises:
        CaptioningError: where settings, data or encoder are wrong.
    """
    preset = PRESETS[arguments.preset]
    config = config_from_flags(arguments, TrainConfig.from_dict(preset.settings))
    if config.has_encoder_file and not Path(config.encoder).is_file():
        raise ConfigError(f"--encoder {config.encoder}: no such file")
    settings = {**config.to_dict(), "data": arguments.data, "limit": arguments.limit}
    check_output(arguments.output, settings, arguments.resume)
    # Imported late: TensorFlow takes seconds, and --help and mistakes do not need it.
    load_tensorflow_as_told(onednn=False)
    from train.building import build_bundle
    from train.datasets import open_dataset
    from train.dev_evaluation import evaluate_bundle

    train_data, dev_data = (
        open_dataset(arguments.data, split, data_dir=arguments.data_dir, limit=arguments.limit)
        for split in ("train", "dev")
    )
    record_settings(arguments.output, settings)
    provenance = {
        "command": shlex.join(["train-captioner", *(word for word in words if word != "--resume")]),
        "data_note": arguments.data_note or preset.note_on_data(arguments.data),
        "encoder_note": arguments.encoder_note or preset.note_on_encoder(config.encoder),
        "settings": config.to_dict(),
        **_machine(),
    }
    # TensorFlow's own word of a GPU that it cannot use is hidden with the rest of its start.
    logging.getLogger("train").info("training on %s", provenance["hardware"])
    cache_dir = os.path.expanduser(arguments.cache_dir)
    build_bundle(config, train_data, dev_data, arguments.output, cache_dir, provenance)
    metrics = evaluate_bundle(arguments.output, config, train_data, dev_data)
    print(*(f"{name:<8}{value:8.4f}" for name, value in metrics.items()), sep="\n")
    print(f"bundle: {Path(arguments.output) / 'bundle'}")


def _machine() -> dict[str, Any]:
    import keras
    import tensorflow as tf

    gpus = [
        tf.config.experimental.get_device_details(gpu)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    names = [details.get("device_name", "GPU") for details in gpus]
    return {
        "hardware": ", ".join([f"{os.cpu_count()} CPU cores ({platform.machine()})", *names]),
        "date": datetime.date.today().isoformat(),
        "versions": f"Python {platform.python_version()}, tensorflow {tf.__version__}, "
        f"keras {keras.__version__}",
    }


if __name__ == "__main__":
    sys.exit(main())
