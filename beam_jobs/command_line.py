"""The command line: flags made from `JobConfig`, everything else left to Beam.

Takes the arguments after the program's name; gives a `JobConfig` and Beam's own options. A flag
that neither knows is a `ConfigError` with a suggestion. Beam is imported only when needed, so
that `--help` answers at once.
"""

import argparse
import dataclasses
import difflib
import types
import typing
from collections.abc import Collection, Sequence
from typing import Any

from beam_jobs.config import AUTO_BATCH_SIZE, JobConfig
from model_lib.errors import ConfigError

DEFAULT_RUNNER = "FnApiRunner"
LOCAL_RUNNERS = (DEFAULT_RUNNER, "DirectRunner")
# Words that begin another command than the job, and the modules whose `main` runs them.
COMMANDS = {
    "explain": "beam_jobs.explaining.command",
    "publish": "beam_jobs.publishing",
    "report": "beam_jobs.report.command",
    "status": "beam_jobs.status",
}
_METAVARS: dict[Any, str] = {int: "N", float: "X", str: "FOLDER"}
DESCRIPTION = """\
Captions images in batch: every input becomes one row of OUTPUT/captions/*.parquet, or one row
of OUTPUT/failures/*.parquet that says why not. OUTPUT/manifest.json is written last.

  caption-images explain PHOTO    draw where the model looks for each word of a caption
  caption-images status OUTPUT    how far a job is, and what --resume would do
  caption-images report OUTPUT    write report.html again
  caption-images publish OUTPUT   make what an unfinished job has committed visible"""
EPILOG = f"""\
examples:
  caption-images --input photos/ --output captions
  caption-images --input 'gs://bucket/2024/*.jpg' --input @more.txt --output gs://bucket/out
  caption-images --input photos.csv --uri_column path --output captions --resume
  caption-images --input photos/ --estimate --price_per_hour 0.35

All other flags are Apache Beam's and go to it, for example --runner DataflowRunner or
--direct_num_workers 4. The default runner is {DEFAULT_RUNNER}, on this machine.

exit codes: 0 done; 1 the run failed, or too many images did; 2 the command line is wrong;
130 interrupted.
"""


class _Parser(argparse.ArgumentParser):
    """Raises `ConfigError` where argparse would end the program."""

    def error(self, message: str) -> typing.NoReturn:
        raise ConfigError(message)


def parse_command_line(argv: Sequence[str]) -> tuple[JobConfig, list[str]]:
    """Reads the command line.

    Args:
        argv: arguments, without the program's name. Words of our flags may be joined by `-`
            or `_`.

    Returns:
        The job's settings, and the arguments meant for Beam, the runner always among them.

    Raises:
        ConfigError: for a missing, unknown or wrong flag.
        SystemExit: with code 0, after `--help`.
    """
    parser = build_parser()
    ours, others = parser.parse_known_args([_with_underscores(word) for word in argv])
    _check_beam_flags(others)
    settings = {name: value for name, value in vars(ours).items() if value is not None}
    settings["input"] = tuple(settings["input"])
    if not any(word.split("=")[0] == "--runner" for word in others):
        others = ["--runner", DEFAULT_RUNNER, *others]
    config = JobConfig(**settings)
    return config, [*others, *_worker_flags(config.workers, others)]


def _worker_flags(workers: int, others: Sequence[str]) -> list[str]:
    """Returns Beam's flags for several worker processes on this machine."""
    if workers == 1:
        return []
    runners = [word for word in others if word.rpartition("=")[2] in LOCAL_RUNNERS]
    if not runners or any("direct_" in word for word in others):
        raise ConfigError(
            f"--workers {workers} is of use with the default runner only, and without Beam's "
            "--direct_num_workers and --direct_running_mode"
        )
    mode = ["--direct_running_mode", "multi_processing"]
    return ["--direct_num_workers", str(workers), *mode]


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of our own flags, one for each field of `JobConfig`."""
    parser = _Parser(
        prog="caption-images",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_flags(parser, [field.name for field in dataclasses.fields(JobConfig)])
    return parser


def add_flags(parser: argparse.ArgumentParser, names: Collection[str]) -> None:
    """Adds some of the job's flags to a parser, under their headings.

    Args:
        parser: of the job, or of another command that has these settings too.
        names: fields of `JobConfig`.
    """
    groups: dict[str, Any] = {}
    hints = typing.get_type_hints(JobConfig)
    for field in dataclasses.fields(JobConfig):
        if field.name not in names:
            continue
        title = field.metadata["group"]
        group = groups.setdefault(title, None) or parser.add_argument_group(title)
        groups[title] = group
        group.add_argument(f"--{field.name}", **_flag_options(field, hints[field.name]))


def _flag_options(field: "dataclasses.Field[Any]", hint: Any) -> dict[str, Any]:
    """Returns what `add_argument` needs for a field of `JobConfig`."""
    required = field.default is dataclasses.MISSING
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        [hint] = [option for option in typing.get_args(hint) if option is not type(None)]
    text = field.metadata["help"]
    if hint is bool:
        return {"action": "store_true", "help": text}
    if required:
        text = f"{text} (required)"
    elif field.default is not None:
        text = f"{text} (default: {field.default})"
    options: dict[str, Any] = {"help": text, "required": required, "metavar": _METAVARS.get(hint)}
    if typing.get_origin(hint) is typing.Literal:
        return {**options, "choices": typing.get_args(hint), "metavar": None}
    if field.name == "input":
        return {**options, "action": "append", "metavar": "WHERE"}
    if typing.get_origin(hint) is tuple:
        return {**options, "type": _comma_list, "metavar": "A,B"}
    if field.name == "metadata_jsonl":
        return {**options, "nargs": "?", "const": "", "metavar": "FILE"}
    if field.name == "batch_size":
        return {**options, "type": _batch_size, "metavar": "N"}
    return {**options, "type": hint}


def _batch_size(text: str) -> int:
    if text == "auto":
        return AUTO_BATCH_SIZE
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"is {text!r}; expected auto, or at least 1")
    return int(text)


def _comma_list(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _with_underscores(word: str) -> str:
    """Returns `--max-failure-rate=1` as `--max_failure_rate=1`; flags not ours are left alone."""
    flag, equals, value = word.partition("=")
    name = flag.removeprefix("--").replace("-", "_")
    ours = flag.startswith("--") and name in {field.name for field in dataclasses.fields(JobConfig)}
    return f"--{name}{equals}{value}" if ours else word


def _check_beam_flags(words: Sequence[str]) -> None:
    """Refuses words that Beam does not know either: it would drop them with a log line."""
    if not words:
        return
    from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

    class BeamParser(_BeamArgumentParser):
        def error(self, message: str) -> typing.NoReturn:
            raise ConfigError(message)

    parser = BeamParser(allow_abbrev=False, add_help=False)
    # As Beam does itself: an options class that was imported twice counts once.
    for options in {str(kind): kind for kind in PipelineOptions.__subclasses__()}.values():
        options._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(list(words))
    if unknown:
        known = [flag for action in parser._actions for flag in action.option_strings]
        raise ConfigError(_unknown_flag_message(unknown[0], known))


def _unknown_flag_message(word: str, beam_flags: Sequence[str]) -> str:
    flag = word.split("=")[0]
    if not flag.startswith("-"):
        return f"unexpected argument {word!r}; did you mean --input {word}?"
    ours = [f"--{field.name}" for field in dataclasses.fields(JobConfig)]
    flag_as_ours = "--" + flag.removeprefix("--").replace("-", "_")
    close = difflib.get_close_matches(flag_as_ours, ours, n=1)
    close = close or difflib.get_close_matches(flag, beam_flags, n=1)
    hint = f"; did you mean {close[0]}?" if close else "; see --help"
    return f"unknown flag {flag}{hint}"
