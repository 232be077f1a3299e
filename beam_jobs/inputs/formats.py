"""What an `--input` is: its format, from its name or from `--input_format`.

Takes the text of the command line; looks at no file. `beam_jobs.inputs.checking` does.
"""

import dataclasses
import re
import urllib.parse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from beam_jobs.fetching.fetcher import is_http
from model_lib.errors import ConfigError

if TYPE_CHECKING:
    from beam_jobs.config import JobConfig
    from beam_jobs.inputs.carried import CarriedColumn

InputFormat = Literal["images", "text", "csv", "tsv", "jsonl", "parquet", "bigquery", "webdataset"]

LIST_MARK = "@"
BIGQUERY_TABLE = "bigquery://"
BIGQUERY_QUERY = "bigquery:"
GZIP = ".gz"
EXTENSIONS: dict[InputFormat, tuple[str, ...]] = {
    "csv": (".csv", ".csv.gz"),
    "tsv": (".tsv", ".tsv.gz"),
    "jsonl": (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"),
    "parquet": (".parquet", ".pq"),
    "webdataset": (".tar",),
}
_PACKED_TAR = re.compile(r"\.(tar\.(gz|bz2|xz|zst|lz4?|z)|tgz|tbz2?|txz|tzst)$")
_PACKED_TABLE = re.compile(r"\.((csv|tsv|jsonl|ndjson)\.(bz2|xz|zst|zip)|(parquet|pq)\.\w+)$")


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """One input of the job, small enough to send to a worker.

    Attributes:
        where: as the command line has it; the address of one file in what `split_input` gives.
        format: how it is read.
        number: its position on the command line, from 0.
        uri_column: column of a table that holds the image's URI.
        carried: names of the job's carried columns as the inputs call them, in order; an input
            without one of them gives nulls.
        carried_types: their Arrow types.
        base_folder: what relative local paths start from; "" for the working directory.
        part: number of the file within the input, from 0.
    """

    where: str
    format: InputFormat
    number: int = 0
    uri_column: str = "uri"
    carried: tuple[str, ...] = ()
    carried_types: tuple[Any, ...] = ()
    base_folder: str = ""
    part: int = 0

    def with_carried(self, columns: "Sequence[CarriedColumn]") -> "InputSpec":
        """Returns the input with the columns that the job carries."""
        return dataclasses.replace(
            self,
            carried=tuple(column.source for column in columns),
            carried_types=tuple(column.arrow for column in columns),
        )


def parse_input(where: str, number: int, config: "JobConfig") -> InputSpec:
    """Returns what an input of the command line is; carried columns are not known yet.

    Args:
        where: the value of one `--input`.
        number: its position on the command line, from 0.
        config: for `input_format`, `uri_column` and the base folder.

    Raises:
        ConfigError: for a kind of file that is not read here.
    """
    kind = config.input_format or format_of(where)
    if kind != "images" and kind not in ("text", "bigquery"):
        _refuse_unreadable(where, kind)
    return InputSpec(
        where=where,
        format=kind,
        number=number,
        uri_column=config.uri_column,
        base_folder=config.fetch_config().base_folder,
    )


def format_of(where: str) -> InputFormat:
    """Returns the format that an input's name says.

    Raises:
        ConfigError: for a compression that is not read.
    """
    if where.startswith(LIST_MARK):
        return "text"
    if where.lower().startswith(BIGQUERY_QUERY):
        return "bigquery"
    name = _name(where)
    for kind, extensions in EXTENSIONS.items():
        if name.endswith(extensions):
            return kind
    _refuse_packed(where, name)
    return "images"


def _name(where: str) -> str:
    path = urllib.parse.urlsplit(where).path if is_http(where) else where
    return path.lower().rstrip("/")


def _refuse_packed(where: str, name: str) -> None:
    if _PACKED_TAR.search(name):
        raise ConfigError(
            f"--input {where}: compressed archives are not read: an image inside one cannot be "
            "read by its position; decompress it to .tar"
        )
    if _PACKED_TABLE.search(name):
        raise ConfigError(
            f"--input {where}: this compression is not read; decompress it, or use .gz for CSV, "
            "TSV and JSON lines"
        )


def _refuse_unreadable(where: str, kind: InputFormat) -> None:
    if is_http(where):
        raise ConfigError(
            f"--input {where}: {kind} files are not read over http(s); download it first, or say "
            "--input_format images if it is an image"
        )
    _refuse_packed(where, _name(where))
