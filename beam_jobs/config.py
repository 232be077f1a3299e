"""The job's settings: one field for one flag, validated when made.

`JobConfig` is all that a command line can say. The flags themselves are made from it: a field's
metadata holds the flag's group and help text, so that no flag can be forgotten or go unused.
"""

import dataclasses
from typing import Any, Literal

from model_lib.config import DecodeConfig, JsonConfig
from model_lib.errors import ConfigError

MIB = 1024 * 1024

IN_OUT = "Input and output"
MODEL = "Model"
CAPTIONS = "Captions (what is left out is as the bundle says)"
FAILURES = "Failures"
DISPLAY = "Display"

_DECODE_FIELDS = tuple(
    field.name for field in dataclasses.fields(DecodeConfig) if field.name != "method"
)


def setting(group: str, text: str, default: Any = dataclasses.MISSING) -> Any:
    """Declares a field and its flag.

    Args:
        group: heading under which `--help` lists the flag.
        text: what the flag does, as `--help` says it.
        default: value where the flag is left out; without one the flag is required.
    """
    return dataclasses.field(default=default, metadata={"group": group, "help": text})


@dataclasses.dataclass(frozen=True)
class FetchConfig(JsonConfig):
    """How images are read.

    Attributes:
        timeout_secs: longest time for one attempt to read one image over http(s).
        attempts: how often an image is tried where the error may pass.
        max_image_bytes: an image with more encoded bytes is refused.
    """

    timeout_secs: float = 30.0
    attempts: int = 4
    max_image_bytes: int = 64 * MIB

    def __post_init__(self) -> None:
        """Validates."""
        self._check_range("timeout_secs", 0, above=True)
        self._check_range("attempts", 1, 100)
        self._check_range("max_image_bytes", 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobConfig(JsonConfig):
    """Everything the command line says; the attributes' meaning is the flags' help text."""

    input: tuple[str, ...] = setting(
        IN_OUT,
        "images: a folder (searched through all its subfolders), a glob, an image, an http(s) "
        "URL, or @LIST, a text file with one of these a line; may be given several times",
    )
    output: str = setting(IN_OUT, "folder for the tables, manifest.json and report.html")
    overwrite: bool = setting(IN_OUT, "replace what an earlier run wrote into --output", False)
    limit: int | None = setting(IN_OUT, "caption at most this many images, the first by URI", None)
    no_report: bool = setting(IN_OUT, "do not write report.html", False)
    bundle: str | None = setting(
        MODEL, "folder of the model bundle; the one shipped with the package if left out", None
    )
    batch_size: int = setting(
        MODEL, "images in one run of the model; does not change the captions", 32
    )
    share_model: bool = setting(
        MODEL, "one copy of the model for all worker processes of a machine", False
    )
    decode: Literal["greedy", "beam", "sample"] | None = setting(
        CAPTIONS, "how captions are drawn", None
    )
    beam_width: int | None = setting(CAPTIONS, "captions kept in the search", None)
    length_penalty: float | None = setting(
        CAPTIONS,
        "0 prefers short captions, 1 is neutral (beam)",
        None,
    )
    num_captions: int | None = setting(CAPTIONS, "captions an image", None)
    temperature: float | None = setting(
        CAPTIONS,
        "above 1 is bolder, below 1 safer (sample)",
        None,
    )
    top_k: int | None = setting(
        CAPTIONS,
        "draw among the k likeliest words, 0 means all (sample)",
        None,
    )
    top_p: float | None = setting(
        CAPTIONS,
        "draw among the likeliest words that hold this probability (sample)",
        None,
    )
    seed: int | None = setting(
        CAPTIONS,
        "the same seed gives the same captions (sample)",
        None,
    )
    min_length_tokens: int | None = setting(CAPTIONS, "fewest words of a caption", None)
    max_length_tokens: int | None = setting(
        CAPTIONS,
        "most words of a caption, the end mark included",
        None,
    )
    max_failure_rate: float = setting(
        FAILURES, "exit with code 1 where more than this share of the images failed", 0.5
    )
    http_timeout_secs: float = setting(
        FAILURES, "longest time for one attempt to read one image over http(s)", 30.0
    )
    read_attempts: int = setting(
        FAILURES, "how often an image is tried where the error may pass", 4
    )
    max_image_bytes: int = setting(
        FAILURES, "an image with more encoded bytes is a failure", 64 * MIB
    )
    quiet: bool = setting(
        DISPLAY, "log lines instead of the progress line and the table at the end", False
    )

    def __post_init__(self) -> None:
        """Validates what can be judged without the bundle."""
        if not self.input or not all(self.input):
            raise ConfigError("JobConfig.input is empty; expected at least one input")
        if not self.output:
            raise ConfigError("JobConfig.output is empty; expected a folder")
        self._check_range("batch_size", 1, 4096)
        self._check_range("max_failure_rate", 0.0, 1.0)
        if self.limit is not None:
            self._check_range("limit", 1)
        self.fetch_config()

    def fetch_config(self) -> FetchConfig:
        """Returns how images are read."""
        return FetchConfig(
            timeout_secs=self.http_timeout_secs,
            attempts=self.read_attempts,
            max_image_bytes=self.max_image_bytes,
        )

    def decode_config(self, defaults: DecodeConfig) -> DecodeConfig:
        """Returns the decode settings in effect.

        Args:
            defaults: the bundle's.

        Raises:
            ConfigError: for a value out of range, or a setting without effect.
        """
        given = {"method": self.decode, **{name: getattr(self, name) for name in _DECODE_FIELDS}}
        changes = {name: value for name, value in given.items() if value is not None}
        return defaults.with_changes(**changes)
