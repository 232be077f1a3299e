"""What the commands beside the job itself share: their words, and Beam's for file systems.

Takes the words after the command's name; gives what its own parser found. Words that it does not
know are Beam's options, such as `--s3_endpoint_url`, and take effect for all file access; a word
that Beam does not know either is refused.
"""

import argparse
import typing
from collections.abc import Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from model_lib.errors import ConfigError


class CommandParser(argparse.ArgumentParser):
    """A parser that raises `ConfigError` where argparse would end the program."""

    def error(self, message: str) -> typing.NoReturn:
        """Refuses the command line."""
        raise ConfigError(f"{message}; see {self.prog} --help")


def parse_words(parser: CommandParser, words: Sequence[str]) -> argparse.Namespace:
    """Reads a command line and sets up the file systems.

    Raises:
        ConfigError: for a word that nobody knows.
        SystemExit: with code 0, after `--help`.
    """
    ours, others = parser.parse_known_args(list(words))
    known = PipelineOptions([]).get_all_options()
    flags = [word for word in others if word.startswith("-")]
    unknown = [flag for flag in flags if flag.split("=")[0].lstrip("-") not in known]
    if unknown or (others and not flags):
        parser.error(f"unexpected argument {(unknown or others)[0]!r}")
    FileSystems.set_options(PipelineOptions(others))
    return ours
