"""What the two commands of this package share: flags of the data, exit codes, messages.

Takes a program's name and what it does; gives an exit code. A mistake of the caller is one line
on standard error, never a traceback.
"""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from model_lib.errors import CaptioningError

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def run(program: str, command: Callable[[], None], *, if_interrupted: str = "interrupted") -> int:
    """Runs a command.

    Args:
        program: its name, for messages.
        command: does everything, from reading the flags on.
        if_interrupted: message after Ctrl-C.

    Returns:
        0 done, 2 the command line or the data is wrong, 130 interrupted.
    """
    try:
        _set_up_logging()
        command()
    except ModuleNotFoundError as error:
        advice = "install the training extra: pip install 'batch-image-captioning[train]'"
        return _complain(program, f"{error}; {advice}", EXIT_USAGE)
    except (CaptioningError, OSError) as error:
        return _complain(program, error, EXIT_USAGE)
    except KeyboardInterrupt:
        return _complain(program, if_interrupted, EXIT_INTERRUPTED)
    return EXIT_DONE


def add_data_flags(group: Any, *, required: bool = True) -> None:
    """Adds `--data`, which may be `required`, `--data_dir` and `--limit` to an argument group."""
    group.add_argument(
        "--data",
        required=required,
        metavar="DATA",
        help="coco_captions, or a folder of captioned photos: images/ and captions.tsv (file name, "
        "tab, caption), or photos with Hugging Face's metadata.jsonl"
        + (" (required)" if required else ""),
    )
    group.add_argument(
        "--data_dir",
        metavar="FOLDER",
        help="where TFDS keeps prepared data (default: ~/tensorflow_datasets)",
    )
    group.add_argument(
        "--limit", type=positive, metavar="N", help="only the first N photos of a split"
    )


def positive(text: str) -> int:
    """Reads a flag's value that is a number of things.

    Raises:
        ArgumentTypeError: where it is not a whole number of 1 or more.
    """
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def _complain(program: str, reason: object, code: int) -> int:
    sys.stderr.write(f"{program}: {' '.join(str(reason).split())}\n")
    return code


def _set_up_logging() -> None:
    """Shows our own progress on stderr; of TensorFlow's and TFDS's lines only errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("train").setLevel(logging.INFO)
    logging.getLogger("absl").setLevel(logging.ERROR)
