"""A published table as record batches, whatever format its files have.

Takes an output folder on any file system that Beam knows, with `NAME/*.parquet` or `NAME/*.jsonl`;
gives batches of some of the table's own columns, in files' order, one batch in memory at a time.
A column that an older table does not have is given as nulls.
"""

import datetime
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs import storage
from beam_jobs.records import Table
from model_lib.errors import CaptioningError

BATCH_ROWS = 16_384


class TableError(CaptioningError, OSError):
    """A file of a table cannot be read as what its name says."""


def table_files(folder: str, table: Table) -> list[str]:
    """Returns the addresses of a table's files in a folder, by name."""
    found = [
        file.path
        for suffix in ("parquet", "jsonl")
        for file in storage.list_pattern(
            storage.join(storage.escape(folder), table.name, f"*.{suffix}")
        )
    ]
    return sorted(found)


def read_batches(
    folder: str, table: Table, columns: Sequence[str], batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yields a table's rows.

    Args:
        folder: where the table's own folder is.
        table: which table.
        columns: columns of `table` that are wanted, in the order wanted.
        batch_rows: most rows of a batch.

    Raises:
        OSError: when a file cannot be read.
        TableError: when a file is damaged.
    """
    for path in table_files(folder, table):
        yield from read_file(path, table, columns, batch_rows)


def read_file(
    path: str, table: Table, columns: Sequence[str], batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one file of a table; see `read_batches`."""
    declared = table.arrow_schema()
    # A column may lack a value here, which the table as it is written may not.
    schema = pa.schema([declared.field(name).with_nullable(True) for name in columns])
    read = _read_json_lines if path.endswith(".jsonl") else _read_parquet
    try:
        yield from read(path, schema, batch_rows)
    except (pa.ArrowException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise TableError(f"{path}: damaged, or no table of captions: {error}") from error


def _read_parquet(path: str, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    with storage.open_read(path) as stream:
        file = pq.ParquetFile(pa.PythonFile(stream, mode="r"))
        present = set(file.schema_arrow.names)
        if "uri" not in present:
            raise ValueError("it has no column uri")
        wanted = [name for name in schema.names if name in present]
        for batch in file.iter_batches(batch_rows, columns=wanted or ["uri"], use_threads=False):
            yield _as_declared(batch, schema)


def _as_declared(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        batch.column(field.name).cast(field.type)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _read_json_lines(path: str, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    times = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    rows: list[dict[str, Any]] = []
    with storage.open_read(path) as stream:
        for line in stream:
            if line.strip():
                rows.append(_row(json.loads(line), schema.names, times))
            if len(rows) >= batch_rows:
                yield pa.RecordBatch.from_pylist(rows, schema=schema)
                rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _row(values: Any, names: Sequence[str], times: Sequence[str]) -> dict[str, Any]:
    row = {"uri": values["uri"], **{name: values.get(name) for name in names}}
    for name in times:
        if row[name] is not None:
            row[name] = datetime.datetime.fromisoformat(row[name])
    return row
