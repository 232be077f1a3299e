"""Flags made from the fields of a settings class, one field for one flag.

Takes a `JsonConfig` dataclass; adds its flags to an argument parser, with the help texts of the
class's own docstring, and makes the settings from what was given.
"""

import argparse
import dataclasses
import inspect
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from model_lib.config import DecodeConfig, JsonConfig
from model_lib.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound=JsonConfig)

DECODE_FLAGS = {"method": "decode"}
_METAVARS: dict[Any, str] = {int: "N", float: "X", str: "TEXT"}


class ArgumentParser(argparse.ArgumentParser):
    """Raises `ConfigError` where argparse ends the program; takes `-` for `_` in flags."""

    def error(self, message: str) -> typing.NoReturn:
        """Raises.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{message}; see --help")

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Reads the arguments after the program's name.

        Raises:
            ConfigError: for a missing, unknown or wrong flag.
            SystemExit: with code 0, after `--help`.
        """
        # Words without a flag may stand between flags, which `parse_args` does not allow.
        return self.parse_intermixed_args([_with_underscores(word) for word in argv])


def add_config_flags(
    parser: Any,
    config_type: type[JsonConfig],
    flags: Mapping[str, str] | None = None,
    *,
    show_defaults: bool = False,
) -> None:
    """Adds a flag for each setting; one that is not given is `None`. A switch also has `--no_X`.

    Args:
        parser: an argument parser or a group of one.
        config_type: the settings.
        flags: flag names, without dashes, of settings whose flag has another name.
        show_defaults: whether the help texts say the class's defaults.
    """
    hints = typing.get_type_hints(config_type)
    helps = attribute_docs(config_type)
    for field in dataclasses.fields(config_type):
        flag = (flags or {}).get(field.name, field.name)
        text = helps[field.name].replace("%", "%%")
        if show_defaults:
            text = f"{text} (default: {field.default})"
        for option, settings in _options(flag, hints[field.name], text):
            parser.add_argument(option, dest=flag, default=None, **settings)


def config_from_flags(
    arguments: argparse.Namespace, defaults: ConfigT, flags: Mapping[str, str] | None = None
) -> ConfigT:
    """Returns the defaults with the given flags put in.

    Args:
        arguments: parsed, with the flags of `add_config_flags`.
        defaults: settings where no flag was given.
        flags: as given to `add_config_flags`.

    Raises:
        ConfigError: for a value out of range.
    """
    return defaults.replace(**_given(arguments, type(defaults), flags or {}))


def decode_from_flags(arguments: argparse.Namespace, defaults: DecodeConfig) -> DecodeConfig:
    """Returns a bundle's decode settings with the given flags put in.

    Args:
        arguments: parsed, with the flags `DECODE_FLAGS` of `DecodeConfig`.
        defaults: the bundle's.

    Raises:
        ConfigError: for a value out of range, or a setting without effect.
    """
    return defaults.with_changes(**_given(arguments, DecodeConfig, DECODE_FLAGS))


def attribute_docs(config_type: type) -> dict[str, str]:
    """Returns the `Attributes:` of a class's Google docstring: text by name, on one line."""
    text = inspect.getdoc(config_type) or ""
    section = text.partition("Attributes:\n")[2].split("\n\n")[0]
    entries = re.split(r"^    (?=\w+:)", section, flags=re.MULTILINE)[1:]
    pairs = (entry.partition(":")[::2] for entry in entries)
    docs = {name: " ".join(words.replace("`", "").split()).rstrip(".") for name, words in pairs}
    return {field.name: docs.get(field.name, "") for field in dataclasses.fields(config_type)}


def _given(
    arguments: argparse.Namespace, config_type: type[JsonConfig], flags: Mapping[str, str]
) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(config_type)]
    values = {name: getattr(arguments, flags.get(name, name)) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _options(flag: str, hint: Any, text: str) -> list[tuple[str, dict[str, Any]]]:
    """Returns option strings and what `add_argument` needs for a field of a given type."""
    if hint is bool:
        on = {"action": "store_true", "help": text}
        return [
            (f"--{flag}", on),
            (f"--no_{flag}", {"action": "store_false", "help": "the reverse"}),
        ]
    if typing.get_origin(hint) is typing.Literal:
        return [(f"--{flag}", {"choices": typing.get_args(hint), "help": text})]
    return [(f"--{flag}", {"type": hint, "metavar": _METAVARS[hint], "help": text})]


def _with_underscores(word: str) -> str:
    """Returns `--data-dir=x-y` as `--data_dir=x-y`; leaves values alone."""
    flag, equals, value = word.partition("=")
    if not flag.startswith("--"):
        return word
    return f"--{flag[2:].replace('-', '_')}{equals}{value}"
