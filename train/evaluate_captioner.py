"""`evaluate-captioner`: captions a data set with one bundle or several and scores the captions.

Takes a command line; gives an exit code: 0 done, 2 the command line, a bundle or the data is
wrong.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import get_args

from model_lib.config import DecodeConfig, EncoderRuntime, Precision
from model_lib.encoder_runtime import check_encoder_runtime
from model_lib.errors import ConfigError
from model_lib.quiet_tensorflow import load_tensorflow_as_told
from train import console
from train.arguments import DECODE_FLAGS, ArgumentParser, add_config_flags
from train.evaluation_text import results_text

DESCRIPTION = """\
Captions the photos of a data set with a model bundle and scores the captions against the
human ones: BLEU-1 to BLEU-4, METEOR, ROUGE-L and CIDEr, as COCO's evaluation computes them,
with 95 % intervals. Several bundles are compared with the first. Captions that were saved
before, by this command or by caption-images, are scored as well."""
EPILOG = """\
examples:
  evaluate-captioner --data flickr8k/ --output eval.json
  evaluate-captioner --data coco_captions --data_dir ~/tensorflow_datasets --bundle my_bundle/ \\
      --beam_width 5 --output eval.json
  evaluate-captioner small/ large/ --data flickr8k/ --output both.json --html both.html
  evaluate-captioner --data flickr8k/ --predictions_from eval.predictions.jsonl --output new.json
  evaluate-captioner --references truth.csv --predictions_from captioned/ --output job.json

exit codes: 0 done; 2 the command line, the bundle or the data is wrong; 130 interrupted.
"""
# Say how a bundle is run, and have no effect on captions that were saved.
_MODEL_FLAGS = ("batch_size", "precision", "encoder_runtime")


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates.

    Args:
        argv: the command line without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)

    def command() -> None:
        arguments = build_parser().parse(words)
        check(arguments)
        # Imported late: TensorFlow takes seconds, and --help and mistakes do not need it.
        load_tensorflow_as_told()
        from train.evaluation import evaluate

        print(*results_text(evaluate(arguments), arguments.output), sep="\n")

    return console.run("evaluate-captioner", command)


def build_parser() -> ArgumentParser:
    """Returns the parser of all flags."""
    parser = ArgumentParser(
        prog="evaluate-captioner",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "bundles",
        nargs="*",
        metavar="BUNDLE",
        help="folders of model bundles (default: the one shipped with the package)",
    )
    data = parser.add_argument_group("Data")
    console.add_data_flags(data, required=False)
    data.add_argument("--split", choices=("dev", "train"), help="part of the data (default: dev)")
    data.add_argument(
        "--references",
        metavar="FILE",
        help="in place of --data, with --predictions_from: human captions by image, .jsonl, .csv "
        "or .parquet with uri (or image_id, file_name) and caption (or captions, text); images "
        "are matched by name, else by file name",
    )
    _add_model_flags(parser)
    _add_result_flags(parser)
    return parser


def check(arguments: argparse.Namespace) -> None:
    """Refuses what contradicts itself or would have no effect; joins `--bundle` to the bundles.

    Raises:
        ConfigError: says which.
    """
    if arguments.bundle is not None:
        if arguments.bundles:
            raise ConfigError(
                f"--bundle {arguments.bundle} beside bundles without a flag "
                f"({', '.join(arguments.bundles)}): leave out --bundle"
            )
        arguments.bundles = [arguments.bundle]
    if arguments.data is None and arguments.references is None:
        raise ConfigError(
            "the following arguments are required: --data, or --references; see --help"
        )
    if arguments.references is not None:
        _check_references(arguments)
    if arguments.predictions_from is not None and not arguments.bundles:
        _refuse(arguments, [*_MODEL_FLAGS, "predictions", *_decode_flags()], "--predictions_from")
    check_encoder_runtime(
        arguments.encoder_runtime or "tensorflow", arguments.precision or "float32"
    )
    if arguments.html is None and arguments.html_photos is not None:
        raise ConfigError("--html_photos has no effect without --html; give both")
    several = len(arguments.bundles) + len(arguments.predictions_from or []) > 1
    if arguments.reliability is not None and (several or arguments.predictions_from is not None):
        raise ConfigError(
            "--reliability draws the scores of one bundle; leave it out with several, and with "
            "saved captions"
        )
    if arguments.predictions is not None and len(arguments.bundles) > 1:
        raise ConfigError(
            "--predictions is a file for one bundle; leave it out with several: their captions "
            "are written beside --output"
        )


def _check_references(arguments: argparse.Namespace) -> None:
    if arguments.predictions_from is None or arguments.bundles:
        raise ConfigError(
            "--references scores saved captions: give --predictions_from and no bundle; a bundle "
            "needs photos, from --data"
        )
    _refuse(arguments, ["data", "data_dir", "split"], "--references")


def _refuse(arguments: argparse.Namespace, names: Sequence[str], with_flag: str) -> None:
    for name in names:
        if getattr(arguments, name) is not None:
            raise ConfigError(f"--{name} has no effect with {with_flag}; leave one out")


def _decode_flags() -> list[str]:
    return [DECODE_FLAGS.get(name, name) for name in DecodeConfig.__dataclass_fields__]


def _add_model_flags(parser: ArgumentParser) -> None:
    model = parser.add_argument_group("Model")
    model.add_argument("--bundle", metavar="FOLDER", help="the same as BUNDLE without a flag")
    model.add_argument(
        "--batch_size",
        type=console.positive,
        metavar="N",
        help="photos in one run of the model; no effect on captions (default: 32)",
    )
    model.add_argument(
        "--precision",
        choices=get_args(Precision),
        help="of the encoder's arithmetic, as in caption-images (default: float32)",
    )
    model.add_argument(
        "--encoder_runtime",
        choices=get_args(EncoderRuntime),
        help="what runs the encoder, as in caption-images (default: tensorflow)",
    )
    decode = parser.add_argument_group("Captions (what is left out is as each bundle says)")
    add_config_flags(decode, DecodeConfig, DECODE_FLAGS)


def _add_result_flags(parser: ArgumentParser) -> None:
    results = parser.add_argument_group("Results")
    results.add_argument(
        "--output", required=True, metavar="FILE", help="JSON file for the results (required)"
    )
    results.add_argument(
        "--html",
        metavar="FILE",
        help="also a page: the numbers with their intervals, and photos with the captions of all",
    )
    results.add_argument(
        "--html_photos",
        type=console.positive,
        metavar="N",
        help="photos in the page, those where captions differ most in CIDEr first; of one model "
        "those with the lowest CIDEr (default: 48)",
    )
    results.add_argument(
        "--reliability",
        metavar="FILE",
        help="also a picture (PNG) of what the scores of a single bundle mean",
    )
    results.add_argument(
        "--bootstrap",
        type=console.positive,
        default=1000,
        metavar="N",
        help="random draws of the photos for the 95 %% intervals (default: 1000)",
    )
    results.add_argument(
        "--predictions",
        metavar="FILE",
        help="JSON-lines file for the captions (default: beside --output, .predictions.jsonl)",
    )
    results.add_argument(
        "--predictions_from",
        action="append",
        metavar="WHERE",
        help="score saved captions, without the model: of an earlier evaluation, or the output "
        "folder or Parquet files of caption-images; more than once for several, which are "
        "compared with each other and with the bundles",
    )
    results.add_argument(
        "--no_java",
        action="store_true",
        help="a plain tokenizer and no METEOR: for machines without Java; the other metrics "
        "then differ a little from published ones",
    )


if __name__ == "__main__":
    sys.exit(main())
