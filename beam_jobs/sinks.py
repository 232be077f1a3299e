"""Rows -> Parquet files, seen whole or not at all.

Rows gather in memory until there are `max_rows` of them, `max_secs` have passed, or Beam's bundle
ends; then they become one file in the staging folder. Only when Beam has accepted that bundle is
the file renamed into the table's folder, so a retried bundle doubles no row: its first try's
files stay in staging, which is removed at the end. No rows, no file.
"""

import glob
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import FileMetadata
from apache_beam.pvalue import PCollection
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from beam_jobs import storage
from beam_jobs.records import Row, Table

STAGING = ".staging"
COMPRESSION = "zstd"
# A file is one row group: about 2 MB of captions, a few tens of MB of rows in memory.
MAX_ROWS = 10_000
MAX_SECS = 60.0


class Part(NamedTuple):
    """A file of a table: its address and size."""

    path: str
    num_rows: int
    num_bytes: int


class WriteTable(beam.PTransform[Any, Any]):
    """PCollection of rows -> PCollection of `Part`, the files of one table."""

    def __init__(
        self,
        table: Table,
        output: str,
        run_id: str,
        *,
        max_rows: int = MAX_ROWS,
        max_secs: float = MAX_SECS,
    ) -> None:
        """Keeps where and how to write.

        Args:
            table: gives the schema, and the folder's name inside the output.
            output: the job's output folder, on any file system that Beam knows.
            run_id: part of the files' names, so that runs do not touch each other's.
            max_rows: most rows of a file, and in memory.
            max_secs: after which a file is closed when its next row comes.
        """
        super().__init__()
        self._table = table
        self._output = output
        self._run_id = run_id
        self._limits = (max_rows, max_secs)

    def expand(self, rows: PCollection[Row]) -> PCollection[Part]:
        """Builds the steps."""
        staging = storage.join(self._output, STAGING, self._run_id)
        folder = storage.join(self._output, self._table.name)
        parts: PCollection[Part] = (
            rows
            | "Stage" >> beam.ParDo(StageRows(self._table, staging, *self._limits))
            # Keeps a retry of the step below from running the step above again.
            | "Accepted" >> beam.Reshuffle()
            | "Commit" >> beam.Map(_commit, folder)
        )
        return parts


class StageRows(beam.DoFn):
    """Rows -> files in the staging folder; gives a `Part` for each."""

    def __init__(self, table: Table, staging: str, max_rows: int, max_secs: float) -> None:
        """Keeps where and how to write; see `WriteTable`."""
        self._table = table
        self._schema = table.arrow_schema()
        self._staging = staging
        self._max_rows = max_rows
        self._max_secs = max_secs

    def start_bundle(self) -> None:
        """Begins with no rows."""
        self._rows: list[Row] = []
        self._since_secs = time.monotonic()

    def process(self, row: Row) -> Iterable[Part]:
        """Takes one row; gives a part when it is time."""
        self._rows.append(row)
        waited_secs = time.monotonic() - self._since_secs
        if len(self._rows) >= self._max_rows or waited_secs >= self._max_secs:
            yield self._stage()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Gives the part of the rows that are left."""
        if self._rows:
            yield WindowedValue(self._stage(), MIN_TIMESTAMP, (GlobalWindow(),))

    def _stage(self) -> Part:
        data = table_to_parquet(pa.Table.from_pylist(self._rows, schema=self._schema))
        name = f"{self._table.name}-{uuid.uuid4().hex[:16]}.parquet"
        path = storage.join(self._staging, name)
        storage.write_bytes(path, data)
        part = Part(path, len(self._rows), len(data))
        self.start_bundle()
        return part


def table_to_parquet(table: pa.Table) -> bytes:
    """Returns a table as a Parquet file: zstd, one row group, schema as given."""
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression=COMPRESSION, row_group_size=max(len(table), 1))
    return bytes(buffer.getvalue())


def list_parts(output: str, table: Table) -> list[Part]:
    """Returns the files of a table in an output folder, by name, with the rows they really hold."""
    parts = []
    for found in _files(output, table):
        with storage.open_read(found.path) as stream:
            num_rows = pq.read_metadata(stream).num_rows
        parts.append(Part(found.path, num_rows, found.size_in_bytes))
    return sorted(parts)


def delete_parts(output: str, table: Table) -> None:
    """Removes the files of a table from an output folder."""
    storage.delete([found.path for found in _files(output, table)])


def _files(output: str, table: Table) -> Iterator[FileMetadata]:
    return storage.list_pattern(storage.join(glob.escape(output), table.name, "*.parquet"))


def _commit(part: Part, folder: str) -> Part:
    target = storage.join(folder, part.path.rsplit("/", 1)[-1])
    storage.move(part.path, target)
    return part._replace(path=target)
