"""The job's settings: one field for one flag, validated when made.

`JobConfig` is all that a command line can say. The flags themselves are made from it: a field's
metadata holds the flag's group and help text, so that no flag can be forgotten or go unused.
"""

import dataclasses
import math
import os
from typing import Any, Literal

from model_lib.config import DEFAULT_BATCH_SIZE, DecodeConfig, JsonConfig
from model_lib.errors import ConfigError

MIB = 1024 * 1024
# `--batch_size auto`.
AUTO_BATCH_SIZE = 0

INPUT = "Input"
OUTPUT = "Output"
RESUMING = "Interrupted and repeated runs"
MODEL = "Model"
CAPTIONS = "Captions (what is left out is as the bundle says)"
READING = "Reading images"
DISPLAY = "Display"
ESTIMATE = "Estimate (nothing is written)"


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
class CaptionStyle(JsonConfig):
    """What rows say beside the raw caption.

    Attributes:
        language_style: `sentence` fills the column of that name.
        min_score: a best caption with a lower score has low confidence; None leaves it open.
    """

    language_style: Literal["raw", "sentence"] = "raw"
    min_score: float | None = None

    def __post_init__(self) -> None:
        """Validates; raises `ConfigError`."""
        if self.min_score is not None and not -math.inf < self.min_score <= 0:
            raise ConfigError(
                f"--min_score is {self.min_score}; expected at most 0: a score is the mean natural "
                "log-probability of a caption's tokens"
            )


RAW = CaptionStyle()


@dataclasses.dataclass(frozen=True)
class FetchConfig(JsonConfig):
    """How images are read.

    Attributes:
        timeout_secs: longest time for one attempt to read one image over http(s).
        attempts: how often an image is tried where the error may pass.
        max_image_bytes: an image with more encoded bytes is refused.
        max_redirects: most redirects that one read over http(s) follows.
        threads: reads at the same time in one worker process.
        max_reads_per_host: reads at the same time from one host or bucket in one worker process.
        allow_private_addresses: whether http(s) may reach addresses that are not public.
        respect_robots_tag: whether `X-Robots-Tag: noai` and its relatives refuse an image.
        base_folder: what relative local paths start from; "" for the working directory.
    """

    timeout_secs: float = 30.0
    attempts: int = 4
    max_image_bytes: int = 64 * MIB
    max_redirects: int = 5
    threads: int = 16
    max_reads_per_host: int = 8
    allow_private_addresses: bool = False
    respect_robots_tag: bool = True
    base_folder: str = ""

    def __post_init__(self) -> None:
        """Validates."""
        self._check_range("timeout_secs", 0, above=True)
        self._check_range("attempts", 1, 100)
        self._check_range("max_image_bytes", 1)
        self._check_range("max_redirects", 0, 100)
        self._check_range("threads", 1, 1024)
        self._check_range("max_reads_per_host", 1, 1024)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobConfig(JsonConfig):
    """Everything the command line says; the attributes' meaning is the flags' help text."""

    input: tuple[str, ...] = setting(
        INPUT,
        "images: a folder (searched through all its subfolders), a glob, an image, an http(s) "
        "URL, @LIST, a text file with one of these a line, a table (.csv, .tsv, .jsonl, "
        ".parquet), bigquery://PROJECT.DATASET.TABLE, 'bigquery:SELECT ...', or WebDataset "
        "shards (.tar); may be given several times",
    )
    input_format: (
        Literal["images", "text", "csv", "tsv", "jsonl", "parquet", "bigquery", "webdataset"] | None
    ) = setting(INPUT, "what --input is, where its name does not say it", None)
    uri_column: str = setting(INPUT, "column of input tables that holds the image's URI", "uri")
    carry_columns: tuple[str, ...] | None = setting(
        INPUT,
        "columns of input tables that are carried into captions and failures, separated by "
        "commas; all others if left out, none if empty",
        None,
    )
    limit: int | None = setting(INPUT, "caption at most this many images, the first by URI", None)
    output: str | None = setting(
        OUTPUT, "folder for the tables, manifest.json and report.html, on any file system", None
    )
    output_table: str | None = setting(
        OUTPUT,
        "BigQuery table for the captions, PROJECT:DATASET.TABLE; failures go to TABLE_failures; "
        "together with --output or instead of it",
        None,
    )
    output_format: Literal["parquet", "jsonl"] = setting(
        OUTPUT, "how the tables' files are written", "parquet"
    )
    metadata_jsonl: str | None = setting(
        OUTPUT,
        "write a Hugging Face ImageFolder table of the captions to this file; "
        "OUTPUT/metadata.jsonl if no file is named",
        None,
    )
    no_report: bool = setting(OUTPUT, "do not write report.html", False)
    report_attention: int = setting(
        OUTPUT,
        "photos of the report's sample with a picture of what the model looked at for each word; "
        "loads the bundle again at the end",
        0,
    )
    overwrite: bool = setting(RESUMING, "replace what an earlier run wrote into --output", False)
    resume: bool = setting(
        RESUMING, "go on from what earlier runs of the same job wrote into --output", False
    )
    retry_failures: Literal["all", "transient", "none"] = setting(
        RESUMING,
        "failures of earlier runs that --resume tries again: transient are those that may pass, "
        "such as time-outs",
        "transient",
    )
    recompute: bool = setting(
        RESUMING,
        "where --resume finds another bundle, decode setting or carried column: caption "
        "everything anew",
        False,
    )
    commit_every: int = setting(
        RESUMING, "captions become durable after this many images, or 60 seconds", 1000
    )
    bundle: str | None = setting(
        MODEL, "folder of the model bundle; the one shipped with the package if left out", None
    )
    batch_size: int = setting(
        MODEL,
        "images in one run of the model; auto finds it by trial when the model is loaded; does "
        "not change the captions",
        DEFAULT_BATCH_SIZE,
    )
    precision: Literal["float32", "bfloat16", "float16"] = setting(
        MODEL,
        "of the encoder's arithmetic; 16 bits are for GPUs, bfloat16 for CPUs with AMX or "
        "AVX-512's bfloat16 as well, and may change captions",
        "float32",
    )
    encoder_runtime: Literal["tensorflow", "onnxruntime"] = setting(
        MODEL,
        "what runs the encoder; onnxruntime is faster on CPUs and needs the extra onnx",
        "tensorflow",
    )
    workers: int = setting(
        MODEL, "worker processes on this machine, which share its cores; each has its model", 1
    )
    share_model: bool = setting(
        MODEL, "one copy of the model for all worker processes of a machine", False
    )
    accelerator: str | None = setting(
        MODEL,
        "GPU of the captioning workers, as Beam's resource hint says it, for example "
        "'type:nvidia-l4;count:1;install-nvidia-driver'; implies --share_model",
        None,
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
    language_style: Literal["raw", "sentence"] = setting(
        CAPTIONS, "sentence: 'A dog runs.' in the column `sentence`, beside 'a dog runs'", "raw"
    )
    min_score: float | None = setting(
        CAPTIONS,
        "best captions with a lower score get `low_confidence`; a score is a mean log-probability",
        None,
    )
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
    no_repeat_ngram_size: int | None = setting(
        CAPTIONS, "no phrase of so many words comes twice in a caption; 0: any may", None
    )
    max_failure_rate: float = setting(
        READING, "exit with code 1 where more than this share of the images failed", 0.5
    )
    http_timeout_secs: float = setting(
        READING, "longest time for one attempt to read one image over http(s)", 30.0
    )
    read_attempts: int = setting(READING, "how often an image is tried where the error may pass", 4)
    max_image_bytes: int = setting(
        READING, "an image with more encoded bytes is a failure", 64 * MIB
    )
    max_redirects: int = setting(READING, "most redirects of one read over http(s)", 5)
    read_threads: int = setting(READING, "reads at the same time in one worker process", 16)
    max_reads_per_host: int = setting(
        READING, "of these, at most this many from one host or bucket", 8
    )
    allow_private_addresses: bool = setting(
        READING, "let http(s) reach loopback, private, link-local and metadata addresses", False
    )
    ignore_robots_tag: bool = setting(
        READING, "read images whose server forbids it by X-Robots-Tag: noai and the like", False
    )
    quiet: bool = setting(
        DISPLAY, "log lines instead of the progress line and the table at the end", False
    )
    log_format: Literal["text", "json"] = setting(
        DISPLAY, "json: one JSON object a line for every event of the run, on stderr", "text"
    )
    estimate: bool = setting(
        ESTIMATE, "say how long --input would take and what it would cost, and stop", False
    )
    images_per_sec: float | None = setting(
        ESTIMATE, "speed of one machine; measured here on a sample if left out", None
    )
    machines: int = setting(ESTIMATE, "machines at work at the same time", 1)
    price_per_hour: float | None = setting(ESTIMATE, "price of one machine for an hour", None)

    def __post_init__(self) -> None:
        """Validates what can be judged without the bundle."""
        if not self.input or not all(self.input):
            raise ConfigError("JobConfig.input is empty; expected at least one input")
        if not (self.output or self.output_table or self.estimate):
            raise ConfigError("--output FOLDER or --output_table TABLE is missing")
        if self.overwrite and self.resume:
            raise ConfigError("--overwrite and --resume exclude each other")
        if self.recompute and not self.resume:
            raise ConfigError("--recompute is of use with --resume only; see --overwrite")
        self._check_range("report_attention", 0, 100)
        self._check_range("batch_size", AUTO_BATCH_SIZE, 4096)
        self._check_range("workers", 1, 1024)
        self._check_range("commit_every", 1, 1_000_000)
        self._check_range("machines", 1)
        if self.images_per_sec is not None:
            self._check_range("images_per_sec", 0, above=True)
        if self.price_per_hour is not None:
            self._check_range("price_per_hour", 0)
        self._check_range("max_failure_rate", 0.0, 1.0)
        if self.limit is not None:
            self._check_range("limit", 1)
        self.fetch_config()
        self.caption_style()

    def caption_style(self) -> CaptionStyle:
        """Returns what rows say beside the raw caption."""
        return CaptionStyle(self.language_style, self.min_score)

    def fetch_config(self) -> FetchConfig:
        """Returns how images are read."""
        return FetchConfig(
            timeout_secs=self.http_timeout_secs,
            attempts=self.read_attempts,
            max_image_bytes=self.max_image_bytes,
            max_redirects=self.max_redirects,
            threads=self.read_threads,
            max_reads_per_host=self.max_reads_per_host,
            allow_private_addresses=self.allow_private_addresses,
            respect_robots_tag=not self.ignore_robots_tag,
            base_folder=os.getcwd(),
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
