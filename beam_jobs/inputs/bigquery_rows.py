"""A BigQuery table or query as input.

`bigquery://PROJECT.DATASET.TABLE` or `bigquery:SELECT ...`; Beam reads it, google-cloud-bigquery
tells its columns before. Both come with the extra `gcp`. Rows have no order there: every one has
position 0 of its input, and a row without a URI is named after its content.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PBegin, PCollection

from beam_jobs.inputs.formats import BIGQUERY_QUERY, BIGQUERY_TABLE, InputSpec
from beam_jobs.inputs.reading import make_row
from beam_jobs.inputs.rows import InputRow
from beam_jobs.inputs.tables import RawRow, is_wanted, no_uri_column
from beam_jobs.inputs.values import Convert, from_python, is_text
from model_lib.errors import ConfigError

ReadMethod = Literal["EXPORT", "DIRECT_READ"]

_TABLE = re.compile(r"(?P<project>[^\s`]+)[.:](?P<dataset>\w+)\.(?P<table>[^\s.`]+)")
_ARROW_TYPES: dict[str, pa.DataType] = {
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "INTEGER": pa.int64(),
    "INT64": pa.int64(),
    "FLOAT": pa.float64(),
    "FLOAT64": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "BOOL": pa.bool_(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "DATETIME": pa.timestamp("us"),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
    "GEOGRAPHY": pa.string(),
    "JSON": pa.string(),
}
_DIGEST_CHARS = 16


class Source(NamedTuple):
    """What to read: a table as Beam and google-cloud-bigquery name it, or a query."""

    project: str | None
    table: str | None
    query: str | None


def parse_source(where: str) -> Source:
    """Returns the table or query that an input names.

    Args:
        where: with or without `bigquery:` in front.

    Raises:
        ConfigError: for what is neither.
    """
    text = where.strip()
    for mark in (BIGQUERY_TABLE, BIGQUERY_QUERY):
        if text.lower().startswith(mark):
            text = text[len(mark) :].strip()
            break
    match = _TABLE.fullmatch(text)
    if match:
        return Source(match["project"], f"{match['dataset']}.{match['table']}", None)
    if not re.search(r"\s", text):
        raise ConfigError(
            "no table or query of BigQuery; expected bigquery://PROJECT.DATASET.TABLE or "
            "'bigquery:SELECT ...'"
        )
    return Source(None, None, text)


def column_types(spec: InputSpec, names: Sequence[str] | None = None) -> dict[str, pa.DataType]:
    """Returns the columns that may be carried and their types, as BigQuery declares them.

    Args:
        spec: the input.
        names: of the columns asked for; None for all but the URI's.

    Raises:
        ConfigError: for a type that is not carried, or where BigQuery cannot be asked.
    """
    kinds: dict[str, pa.DataType] = {}
    for field in _schema(parse_source(spec.where)):
        if is_wanted(field.name, spec.uri_column, names):
            kinds[field.name] = _arrow_type(field)
    return kinds


def column_names(spec: InputSpec) -> list[str]:
    """Returns the names of all columns.

    Raises:
        ConfigError: where BigQuery cannot be asked.
    """
    return [field.name for field in _schema(parse_source(spec.where))]


def check_uri_column(spec: InputSpec) -> None:
    """Asks BigQuery whether there is such a table or query, and whether it holds URIs.

    Raises:
        ConfigError: where it does not.
    """
    fields = {field.name: field for field in _schema(parse_source(spec.where))}
    field = fields.get(spec.uri_column)
    if field is None:
        raise no_uri_column(spec.uri_column, list(fields), "the result")
    if not is_text(_arrow_type(field)):
        raise ConfigError(f"column {field.name!r} is {field.field_type}; expected STRING with URIs")


def read_table(spec: InputSpec, method: ReadMethod = "DIRECT_READ") -> "ReadTable":
    """Returns the transform that reads a BigQuery input.

    Args:
        spec: the input, told what to carry.
        method: `DIRECT_READ` uses the Storage Read API: of a table only the columns that are
            wanted, no files, billed by what is read. `EXPORT` goes through files in Beam's
            `--temp_location` and costs nothing; the tests' emulator cannot run it.
    """
    return ReadTable(spec, method)


def read_here(spec: InputSpec) -> Iterator[InputRow]:
    """Yields the rows of a BigQuery input in this process, page by page, without Beam.

    Args:
        spec: the input, told what to carry.

    Raises:
        ConfigError: where BigQuery's client is not installed.
    """
    source = parse_source(spec.where)
    client = _client(source)
    if source.table is not None:
        rows = client.list_rows(f"{source.project}.{source.table}")
    else:
        rows = client.query(str(source.query)).result()
    make_rows = _MakeRows(spec)
    make_rows.setup()
    for row in rows:
        yield from make_rows.process(dict(row))


class ReadTable(beam.PTransform[Any, Any]):
    """A pipeline's beginning -> PCollection[InputRow] of a BigQuery table or query."""

    def __init__(self, spec: InputSpec, method: ReadMethod) -> None:
        """Keeps what to read."""
        super().__init__()
        self._spec = spec
        self._method = method

    def expand(self, begin: PBegin) -> PCollection[Any]:
        """Reads and makes rows."""
        from apache_beam.io.gcp.bigquery import ReadFromBigQuery

        source = parse_source(self._spec.where)
        what: dict[str, Any]
        if source.table is not None:
            what = {"table": f"{source.project}:{source.table}"}
        else:
            what = {"query": source.query, "use_standard_sql": True, "flatten_results": False}
        if self._method == "DIRECT_READ" and source.table is not None:
            what["selected_fields"] = [self._spec.uri_column, *self._spec.carried]
        rows: PCollection[Any] = (
            begin
            | "Read" >> ReadFromBigQuery(method=self._method, **what)
            | "MakeRows" >> beam.ParDo(_MakeRows(self._spec)).with_output_types(InputRow)
        )
        return rows


class _MakeRows(beam.DoFn):
    """Dictionaries as Beam gives them -> `InputRow`s."""

    def __init__(self, spec: InputSpec) -> None:
        self._spec = spec
        self._converters: list[Convert] = []

    def setup(self) -> None:
        self._converters = [from_python(kind) for kind in self._spec.carried_types]

    def process(self, record: dict[str, Any]) -> Iterable[InputRow]:
        spec = self._spec
        raw = RawRow(record.get(spec.uri_column), [record.get(name) for name in spec.carried])
        yield make_row(raw, _place(spec, record), (spec.number, 0), self._converters)


def _place(spec: InputSpec, record: dict[str, Any]) -> str:
    """Returns a name for a row that is the same in every run."""
    content = json.dumps([spec.where, record], sort_keys=True, default=str)
    digest = hashlib.sha256(content.encode()).hexdigest()[:_DIGEST_CHARS]
    source = parse_source(spec.where)
    name = f"{source.project}.{source.table}" if source.table else f"query-{spec.number + 1}"
    return f"{BIGQUERY_TABLE}{name}#row={digest}"


def _client(source: Source) -> Any:
    try:
        from google.cloud import bigquery
    except ImportError as error:
        raise ConfigError(
            "BigQuery needs the extra gcp: pip install 'batch-image-captioning[gcp]'"
        ) from error
    return bigquery.Client(project=source.project)


def _schema(source: Source) -> Sequence[Any]:
    """Asks BigQuery for the columns; a query is not run for it."""
    client = _client(source)
    if source.table is not None:
        return list(client.get_table(f"{source.project}.{source.table}").schema)
    from google.cloud import bigquery

    job = client.query(str(source.query), bigquery.QueryJobConfig(dry_run=True))
    if job.schema is None:
        raise ConfigError("BigQuery does not tell the query's columns; read a table instead")
    return list(job.schema)


def _arrow_type(field: Any) -> pa.DataType:
    if field.field_type in ("RECORD", "STRUCT"):
        kind = pa.struct([pa.field(inner.name, _arrow_type(inner)) for inner in field.fields])
    elif field.field_type in _ARROW_TYPES:
        kind = _ARROW_TYPES[field.field_type]
    else:
        raise ConfigError(
            f"column {field.name!r} of type {field.field_type} cannot be carried; leave it out "
            "with --carry_columns"
        )
    return pa.list_(kind) if field.mode == "REPEATED" else kind
