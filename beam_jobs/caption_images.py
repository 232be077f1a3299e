"""`caption-images`: captions folders, lists or buckets of images into a Parquet table.

Takes a command line; gives an exit code: 0 done, 1 the run or too many images failed, 2 the
command line is wrong.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from beam_jobs.command_line import parse_command_line
from model_lib.errors import BundleError, ConfigError

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: the command line without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except (ConfigError, BundleError) as error:
        return _complain(error, EXIT_USAGE)
    except KeyboardInterrupt:
        return _complain("interrupted; no manifest was written", EXIT_INTERRUPTED)


def _run(words: list[str]) -> int:
    config, beam_words = parse_command_line(words)
    _set_up_logging(config.quiet)
    # Imported late: Beam takes seconds, and --help and most mistakes do not need it.
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_jobs import console, job

    options = PipelineOptions(beam_words)
    plan = job.prepare(config, options)
    on_terminal = not config.quiet and sys.stderr.isatty()
    if on_terminal and job.is_local(options):
        _load_tensorflow_silently()
    try:
        manifest = job.run(plan, options, words, sys.stderr if on_terminal else None)
    except (job.PipelineError, OSError) as error:
        logging.getLogger(__name__).debug("the run failed", exc_info=True)
        return _complain(error, EXIT_FAILED)
    if not config.quiet:
        print(*console.summary(config.output, manifest), sep="\n")
    return _judge(manifest, config.max_failure_rate)


def _load_tensorflow_silently() -> None:
    """Loads TensorFlow before the progress line starts, and keeps its start-up lines off it.

    They are written by C++ code, whatever the log level, straight to file descriptor 2.
    """
    sys.stderr.write("loading TensorFlow ...\r")
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            os.dup2(shown, 2)
            os.close(shown)


def _judge(manifest: Mapping[str, Any], max_failure_rate: float) -> int:
    """Returns the exit code of a finished run, and says why where it is not 0."""
    counts = manifest["counts"]
    if manifest["mismatches"]:
        return _complain(f"rows are missing or doubled: {manifest['mismatches']}", EXIT_FAILED)
    if not counts["listed"]:
        return _complain("no images were found in --input", EXIT_USAGE)
    if manifest["status"] == "too_many_failures":
        total = counts["captions"] + counts["failures"]
        return _complain(
            f"{counts['failures']} of {total} images failed, which is more than "
            f"--max_failure_rate {max_failure_rate:g}; everything is written all the same",
            EXIT_FAILED,
        )
    return EXIT_DONE


def _complain(reason: object, code: int) -> int:
    print(f"caption-images: {reason}", file=sys.stderr)
    return code


def _set_up_logging(quiet: bool) -> None:
    """Shows our own lines on stderr; of Beam's and TensorFlow's only errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger().setLevel(logging.ERROR)
    for package in ("beam_jobs", "model_lib"):
        logging.getLogger(package).setLevel(logging.INFO if quiet else logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
