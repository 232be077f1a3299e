"""Parquet files: only the needed columns, a batch at a time, with the types that they declare."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs import storage
from beam_jobs.inputs.formats import InputSpec
from beam_jobs.inputs.listing import resolve
from beam_jobs.inputs.problems import BadRowError, RowError
from beam_jobs.inputs.tables import RawRow, positions
from beam_jobs.inputs.values import carried_type, is_text, plain_type, python_values

BATCH_ROWS = 1000
BUFFER_BYTES = 1024 * 1024
MAGIC = b"PAR1"


def read_schema(spec: InputSpec, path: str) -> pa.Schema:
    """Returns the columns of a file, without dictionaries and extension types.

    Raises:
        pyarrow.ArrowInvalid: for a file that is not Parquet, or not whole.
    """
    with storage.open_read(resolve(path, spec.base_folder)) as stream:
        schema = pq.read_schema(stream)
    return pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])


def read_raw(spec: InputSpec, path: str) -> Iterator[RawRow | RowError]:
    """Yields the rows of one file."""
    with storage.open_read(resolve(path, spec.base_folder)) as stream:
        file = pq.ParquetFile(stream, buffer_size=BUFFER_BYTES)
        schema = file.schema_arrow
        wanted = positions(schema.names, spec.uri_column, spec.carried)
        kinds = [uri_type(schema.field(spec.uri_column)), *spec.carried_types]
        names = {schema.names[at] for at in wanted if at is not None}
        for batch in file.iter_batches(BATCH_ROWS, columns=sorted(names), use_threads=False):
            columns = [
                _values(batch, None if at is None else schema.names[at], kind)
                for at, kind in zip(wanted, kinds, strict=True)
            ]
            for uri, *values in zip(*columns, strict=True):
                yield RawRow(uri, values)


def uri_type(field: pa.Field) -> pa.DataType:
    """Returns the type of text that a URI column has.

    Raises:
        BadRowError: for a column that is no text; it stands for all the file's rows.
    """
    kind = carried_type(field.type)
    if not is_text(kind):
        raise BadRowError(f"column {field.name!r} is {field.type}; expected text with URIs")
    return kind


def _values(batch: pa.RecordBatch, name: str | None, kind: pa.DataType) -> Sequence[Any]:
    if name is None:
        return [None] * batch.num_rows
    return python_values(batch.column(name), kind)
