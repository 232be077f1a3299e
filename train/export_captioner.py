"""`export-captioner`: writes a bundle as a TensorFlow SavedModel for serving.

Takes a command line; gives an exit code: 0 done and checked, 2 the command line, the bundle or
the output folder is wrong, or the exported graph captions otherwise than the bundle.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model_lib.config import DecodeConfig
from model_lib.quiet_tensorflow import load_tensorflow_as_told
from train import console
from train.arguments import DECODE_FLAGS, ArgumentParser, add_config_flags, decode_from_flags

if TYPE_CHECKING:
    from model_lib.export import Exported

SHIPPED = "default"
DESCRIPTION = """\
Writes a model bundle as a TensorFlow SavedModel that takes encoded images and returns captions
and scores. TensorFlow alone loads it: TensorFlow Serving, Vertex AI, tf.saved_model.load. Before
the folder gets its name the SavedModel is loaded, and its captions of drawn pictures are compared
with the bundle's."""
EPILOG = """\
examples:
  export-captioner default exported/
  export-captioner my_bundle/ models/captioner --version 2 --beam_width 5
  export-captioner my_bundle/ exported/ --decode greedy

exit codes: 0 done; 2 the command line, the bundle or the output folder is wrong; 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exports.

    Args:
        argv: the command line without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)

    def command() -> None:
        arguments = build_parser().parse(words)
        print(*_summary(export(arguments)), sep="\n")

    return console.run("export-captioner", command)


def build_parser() -> ArgumentParser:
    """Returns the parser of all flags."""
    parser = ArgumentParser(
        prog="export-captioner",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "bundle",
        metavar="BUNDLE",
        help=f"folder of the model bundle; {SHIPPED}: the one shipped with the package",
    )
    parser.add_argument("output", metavar="OUT", help="local folder to write, missing or empty")
    parser.add_argument(
        "--format", choices=("savedmodel",), default="savedmodel", help="(default: savedmodel)"
    )
    parser.add_argument(
        "--version",
        type=console.positive,
        metavar="N",
        help="write OUT/N, as TensorFlow Serving wants it; OUT may hold other versions",
    )
    decode = parser.add_argument_group("Captions (what is left out is as the bundle says)")
    add_config_flags(decode, DecodeConfig, DECODE_FLAGS)
    return parser


def export(arguments: argparse.Namespace) -> "Exported":
    """Exports a bundle.

    Args:
        arguments: of `build_parser`.

    Returns:
        What was written.

    Raises:
        CaptioningError: where the bundle, the settings or the output folder are wrong, or the
            captions differ.
    """
    from model_lib.bundle import default_bundle_path, read_bundle_info

    bundle = default_bundle_path() if arguments.bundle == SHIPPED else arguments.bundle
    decode = decode_from_flags(arguments, read_bundle_info(bundle).decode)
    folder = arguments.output
    if arguments.version is not None:
        folder = f"{folder.rstrip('/')}/{arguments.version}"
    # Imported late: TensorFlow takes seconds, and --help and most mistakes do not need it.
    from model_lib.export_folder import check_folder

    check_folder(folder)
    load_tensorflow_as_told()
    from model_lib.export import export_savedmodel

    return export_savedmodel(bundle, folder, decode)


def _summary(exported: "Exported") -> list[str]:
    info, folder = exported.info, exported.folder
    return [
        f"{folder}: {info.name} {info.fingerprint[:12]}, {exported.size_bytes / 1e6:.1f} MB",
        f"captions: {exported.decode.to_json()}",
        f"checked: loaded with tf.saved_model.load; {exported.checked_pictures} drawn pictures, "
        f"as PNG and as pixels, {_found(exported)}",
        f"signatures: saved_model_cli show --dir {Path(folder)} --tag_set serve --all",
    ]


def _found(exported: "Exported") -> str:
    if exported.decode.method == "sample":
        return "have equal captions (their random numbers are not the captioner's)"
    return "have the captioner's captions and scores"


if __name__ == "__main__":
    sys.exit(main())
