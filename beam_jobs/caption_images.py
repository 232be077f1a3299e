"""`caption-images`: captions folders, lists, tables or buckets of images into a table.

Takes a command line, which is a job's or begins with `explain`, `status`, `report` or `publish`;
gives an exit code: 0 done, 1 the run or too many images failed, 2 the command line is wrong, 130
interrupted.
"""

import importlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from beam_jobs import event_log
from beam_jobs.command_line import COMMANDS, parse_command_line
from beam_jobs.config import JobConfig
from model_lib.errors import BundleError, CaptioningError, ConfigError
from model_lib.quiet_tensorflow import load_tensorflow

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job, or another of its commands.

    Args:
        argv: the command line without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if event_log.wants_json(words):
        event_log.set_up()
    try:
        if words and words[0] in COMMANDS:
            # Imported late: each command needs other, partly heavy, modules.
            command = importlib.import_module(COMMANDS[words[0]])
            return int(command.main(words[1:]))
        return _run(words)
    except (ConfigError, BundleError) as error:
        return _complain(error, EXIT_USAGE)
    except OSError as error:
        return _complain(f"{type(error).__name__}: {error}", EXIT_FAILED)
    except KeyboardInterrupt:
        return _complain(
            "interrupted; what was committed stays, go on with --resume", EXIT_INTERRUPTED
        )


def run_as_process() -> NoReturn:
    """Runs `main` as a process of its own and ends that with the exit code.

    After Ctrl-C the pipeline is still at work in its threads. None of them may see the end of the
    interpreter, which in TensorFlow's C++ aborts the process, and in h5py waits for ever.
    """
    code = main()
    if code == EXIT_INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(words: list[str]) -> int:
    config, beam_words = parse_command_line(words)
    _set_up_logging(config)
    _share_cores(config.workers)
    # Imported late: Beam takes seconds, and --help and most mistakes do not need it.
    from apache_beam.options.pipeline_options import PipelineOptions

    options = PipelineOptions(beam_words)
    if config.estimate:
        return _estimate(config, options)
    from beam_jobs import console, job

    plan = job.prepare(config, options)
    on_terminal = not config.quiet and config.log_format == "text" and sys.stderr.isatty()
    # Where the work is in other processes, this one needs no TensorFlow.
    if job.is_local(options) and config.workers == 1:
        load_tensorflow("loading TensorFlow ...\r" if on_terminal else "")
    try:
        manifest = job.run(plan, options, words, sys.stderr if on_terminal else None)
    except (ConfigError, BundleError):
        raise
    except (CaptioningError, OSError) as error:
        logging.getLogger(__name__).debug("the run failed", exc_info=True)
        return _complain(error, EXIT_FAILED)
    if manifest is None:
        event_log.log_event(
            "handed_over", f"when it has ended: caption-images publish {plan.output}"
        )
        return EXIT_DONE
    event_log.log_run_finished(manifest, console.outputs(plan.output, manifest))
    if not config.quiet and config.log_format == "text":
        print(*console.summary(plan.output, manifest), sep="\n")
    return _judge(manifest, config.max_failure_rate)


def _share_cores(workers: int) -> None:
    """Gives each worker process its share of the cores; it reads that when it starts."""
    if workers > 1:
        threads = str(max((os.cpu_count() or 1) // workers, 1))
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ.setdefault(name, threads)


def _estimate(config: JobConfig, options: Any) -> int:
    from beam_jobs import estimate, job

    for line in estimate.estimate_lines(job.estimate_input(config, options)):
        print(line)
    return EXIT_DONE


def _judge(manifest: Mapping[str, Any], max_failure_rate: float) -> int:
    """Returns the exit code of a finished run, and says why where it is not 0."""
    counts = manifest["counts"]
    if manifest["mismatches"]:
        return _complain(f"rows are missing or doubled: {manifest['mismatches']}", EXIT_FAILED)
    if counts.get("listed") == 0:
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
    if event_log.is_on():
        event_log.log_run_failed(reason, code)
    else:
        print(f"caption-images: {reason}", file=sys.stderr)
    return code


def _set_up_logging(config: JobConfig) -> None:
    """Shows our own lines on stderr; of Beam's and TensorFlow's only errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if config.log_format == "json":
        return
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger().setLevel(logging.ERROR)
    for package in ("beam_jobs", "model_lib"):
        logging.getLogger(package).setLevel(logging.INFO if config.quiet else logging.WARNING)


if __name__ == "__main__":
    run_as_process()
