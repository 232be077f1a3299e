"""The rows of the two output tables, declared once: Arrow and BigQuery schemas come from here.

Takes outcomes of the pipeline's steps (`CaptionedImage`, `Failure`) and gives rows: plain
dictionaries with exactly the table's columns. Times are aware UTC datetimes with microseconds.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pyarrow as pa

from beam_jobs.config import RAW, CaptionStyle
from beam_jobs.inputs.carried_types import arrow_to_bigquery
from model_lib.confidence import confidence_of
from model_lib.sentences import as_sentence

if TYPE_CHECKING:
    from model_lib.caption import Caption

ColumnType = Literal["string", "bool", "int32", "int64", "float64", "timestamp", "struct", "arrow"]
Stage = Literal["read", "decode", "caption", "write"]
Row = dict[str, Any]

MAX_MESSAGE_CHARS = 1000
_ARROW_TYPES: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_BIGQUERY_TYPES: Mapping[str, str] = {
    "string": "STRING",
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "INTEGER",
    "float64": "FLOAT",
    "timestamp": "TIMESTAMP",
    "struct": "RECORD",
}


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: as readers see it.
        type: its type, or that of its elements where it is repeated.
        description: what it means, units included.
        repeated: whether a value is a list.
        nullable: whether a value may be missing; of our own columns, those that a flag fills.
        fields: what a struct holds.
        arrow: the type itself, for a column of type `arrow`, which came with the input.
    """

    name: str
    type: ColumnType
    description: str
    repeated: bool = False
    nullable: bool = False
    fields: tuple["Column", ...] = ()
    arrow: pa.DataType | None = None

    def arrow_field(self) -> pa.Field:
        """Returns the column as Arrow declares it."""
        if self.type == "arrow":
            kind = self.arrow
        elif self.type == "struct":
            kind = pa.struct([field.arrow_field() for field in self.fields])
        else:
            kind = _ARROW_TYPES[self.type]
        if self.repeated:
            kind = pa.list_(pa.field("element", kind, nullable=False))
        return pa.field(self.name, kind, nullable=self.nullable)

    def bigquery_field(self) -> dict[str, Any]:
        """Returns the column as BigQuery declares it."""
        if self.arrow is not None:
            declared = arrow_to_bigquery(pa.field(self.name, self.arrow))
            return {**declared, "description": self.description}
        mode = "REPEATED" if self.repeated else "NULLABLE" if self.nullable else "REQUIRED"
        declared = {
            "name": self.name,
            "type": _BIGQUERY_TYPES[self.type],
            "mode": mode,
            "description": self.description,
        }
        if self.fields:
            declared["fields"] = [field.bigquery_field() for field in self.fields]
        return declared


def carried_column(field: pa.Field) -> Column:
    """Returns the column that carries an Arrow field of the input along."""
    return Column(field.name, "arrow", "carried from the input", nullable=True, arrow=field.type)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: its name, which is also its folder in the output, and its columns."""

    name: str
    columns: tuple[Column, ...]

    def arrow_schema(self) -> pa.Schema:
        """Returns the schema that every Parquet file of the table has."""
        return pa.schema([column.arrow_field() for column in self.columns])

    def bigquery_schema(self) -> dict[str, Any]:
        """Returns the schema in the form that Beam's `WriteToBigQuery` takes."""
        return {"fields": [column.bigquery_field() for column in self.columns]}

    def with_columns(self, columns: Sequence[Column]) -> "Table":
        """Returns the table with more columns after its own: those carried from the input."""
        return dataclasses.replace(self, columns=(*self.columns, *columns))


CAPTIONS = Table(
    "captions",
    (
        Column("uri", "string", "the image, as given"),
        Column("image_sha256", "string", "hex digest of the encoded bytes"),
        Column("caption", "string", "best caption"),
        Column("score", "float64", "its mean log-probability a token, natural log"),
        Column(
            "candidates",
            "struct",
            "all captions, best first",
            repeated=True,
            fields=(
                Column("caption", "string", "its text"),
                Column("log_prob", "float64", "its log-probability, natural log"),
                Column("score", "float64", "log_prob / tokens"),
            ),
        ),
        Column(
            "confidence",
            "float64",
            "share of the best caption's words to expect in a human caption, 0..1; null where the "
            "bundle has no temperature",
            nullable=True,
        ),
        Column("num_tokens", "int32", "tokens of the best caption, the end token included"),
        Column("finished", "bool", "false where the length limit cut the best caption"),
        Column("sentence", "string", "the caption as a sentence; null if not asked", nullable=True),
        Column(
            "low_confidence", "bool", "score below --min_score; null if not asked", nullable=True
        ),
        Column("width", "int32", "of the original in pixels, after EXIF orientation"),
        Column("height", "int32", "of the original in pixels, after EXIF orientation"),
        Column("format", "string", "jpeg, png, webp, gif or bmp"),
        Column("size_bytes", "int64", "of the encoded image"),
        Column("model_name", "string", "name of the bundle"),
        Column("model_fingerprint", "string", "hex digest of the bundle's content"),
        Column("decode_config", "string", "decode settings as canonical JSON, seed included"),
        Column("run_id", "string", "the run that wrote the row"),
        Column("captioned_at", "timestamp", "when, UTC"),
    ),
)
FAILURES = Table(
    "failures",
    (
        Column("uri", "string", "the image, as given"),
        Column("stage", "string", "read, decode, caption or write"),
        Column("error_type", "string", "class name of the error"),
        Column("error_message", "string", "what was wrong"),
        Column("attempts", "int32", "how often the stage was tried"),
        Column("transient", "bool", "whether another try may succeed, as after a time-out"),
        Column("run_id", "string", "the run that wrote the row"),
        Column("failed_at", "timestamp", "when, UTC"),
    ),
)


@dataclasses.dataclass(frozen=True)
class RunStamp:
    """What every row of a run carries.

    Attributes:
        run_id: of this start of the job.
        model_name: of the bundle.
        model_fingerprint: of the bundle.
        decode_config: decode settings as canonical JSON.
        score_temperature: of the bundle, no column of its own; None where it has none.
    """

    run_id: str
    model_name: str
    model_fingerprint: str
    decode_config: str
    score_temperature: float | None = None


class CaptionedImage(NamedTuple):
    """An image that was captioned; `captions` is best first and not empty."""

    uri: str
    image_sha256: str
    captions: "Sequence[Caption]"
    width: int
    height: int
    format: str
    size_bytes: int
    carried: tuple[Any, ...] = ()


class Failure(NamedTuple):
    """An input that could not be captioned: where, why, and how often it was tried."""

    uri: str
    stage: Stage
    error_type: str
    error_message: str
    attempts: int = 1
    transient: bool = False
    carried: tuple[Any, ...] = ()

    @classmethod
    def from_error(
        cls,
        uri: str,
        stage: Stage,
        error: BaseException,
        attempts: int = 1,
        transient: bool = False,
        carried: tuple[Any, ...] = (),
    ) -> "Failure":
        """Makes it from an exception; the message is cut to `MAX_MESSAGE_CHARS`."""
        message = printable(str(error) or repr(error))[:MAX_MESSAGE_CHARS]
        return cls(uri, stage, type(error).__name__, message, attempts, transient, carried)


def printable(text: str) -> str:
    r"""Returns text that UTF-8 can hold: a lone surrogate (a stray byte) becomes `\udce9`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def utc_now() -> datetime.datetime:
    """Returns the time, aware, UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def parse_time(text: str) -> datetime.datetime:
    """Returns the time that `isoformat` wrote."""
    return datetime.datetime.fromisoformat(text)


def caption_row(
    image: CaptionedImage,
    stamp: RunStamp,
    captioned_at: datetime.datetime,
    carried_columns: Sequence[str] = (),
    style: CaptionStyle = RAW,
) -> Row:
    """Returns the row of table `CAPTIONS` for a captioned image."""
    best = image.captions[0]
    temperature = stamp.score_temperature
    return {
        "uri": image.uri,
        "image_sha256": image.image_sha256,
        "caption": best.text,
        "score": best.score,
        "candidates": [
            {"caption": caption.text, "log_prob": caption.log_prob, "score": caption.score}
            for caption in image.captions
        ],
        "confidence": None if temperature is None else confidence_of(best.score, temperature),
        "num_tokens": best.num_tokens,
        "finished": best.finished,
        "sentence": as_sentence(best.text) if style.language_style == "sentence" else None,
        "low_confidence": None if style.min_score is None else best.score < style.min_score,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "size_bytes": image.size_bytes,
        "model_name": stamp.model_name,
        "model_fingerprint": stamp.model_fingerprint,
        "decode_config": stamp.decode_config,
        "run_id": stamp.run_id,
        "captioned_at": captioned_at,
        **_carried(image.carried, carried_columns),
    }


def failure_row(
    failure: Failure,
    run_id: str,
    failed_at: datetime.datetime,
    carried_columns: Sequence[str] = (),
) -> Row:
    """Returns the row of table `FAILURES` for a failure."""
    row = failure._asdict()
    carried = _carried(row.pop("carried"), carried_columns)
    return {**row, "run_id": run_id, "failed_at": failed_at, **carried}


def _carried(values: Sequence[Any], names: Sequence[str]) -> Row:
    """Names the carried values; an element that brought none has nulls."""
    return dict(zip(names, values or (None,) * len(names), strict=True))
