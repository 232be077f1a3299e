"""Published files: Arrow tables in, Parquet or JSON lines out, in files of a good size.

A writer takes the tables of many small committed parts and writes few larger files into a folder
of this machine, from where the caller puts them in their place.
"""

import contextlib
import datetime
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

COMPRESSION = "zstd"
ROWS_PER_FILE = 200_000
ROWS_PER_GROUP = 20_000
SUFFIXES = {"parquet": ".parquet", "jsonl": ".jsonl"}


class TableFiles:
    """Writes one table as numbered files `PREFIX-00000.parquet`; a context manager."""

    def __init__(self, folder: str, prefix: str, schema: pa.Schema, output_format: str) -> None:
        """Writes nothing yet.

        Args:
            folder: where the files go; a folder of this machine that exists.
            prefix: their names begin with it.
            schema: of every table to come.
            output_format: `parquet` or `jsonl`.
        """
        self._folder = folder
        self._prefix = prefix
        self._schema = schema
        self._format = output_format
        self._open: contextlib.ExitStack | None = None
        self._write: Callable[[pa.Table], None]
        self._pending: list[pa.Table] = []
        self._rows_in_file = 0
        self.paths: list[str] = []

    def __enter__(self) -> "TableFiles":
        """Returns itself."""
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        """Writes what is left and closes the last file."""
        if kind is None:
            self._flush()
        self._close()

    def add(self, table: pa.Table) -> None:
        """Takes rows; they reach a file when there are enough of them."""
        self._pending.append(table)
        if sum(len(waiting) for waiting in self._pending) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        rows = sum(len(table) for table in self._pending)
        if not rows:
            return
        if self._open is None:
            self._start()
        self._write(pa.concat_tables(self._pending).combine_chunks())
        self._pending = []
        self._rows_in_file += rows
        if self._rows_in_file >= ROWS_PER_FILE:
            self._close()

    def _start(self) -> None:
        name = f"{self._prefix}-{len(self.paths):05d}{SUFFIXES[self._format]}"
        path = os.path.join(self._folder, name)
        self._open = contextlib.ExitStack()
        if self._format == "parquet":
            writer = pq.ParquetWriter(path, self._schema, compression=COMPRESSION)
            self._write = self._open.enter_context(writer).write_table
        else:
            self._write = self._open.enter_context(_JsonLinesWriter(path)).write_table
        self.paths.append(path)

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None
        self._rows_in_file = 0


class _JsonLinesWriter:
    """Has the methods of `pq.ParquetWriter` that are needed here."""

    def __init__(self, path: str) -> None:
        self._stream = open(path, "wb")  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> "_JsonLinesWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write_table(self, table: pa.Table) -> None:
        self._stream.writelines(json_lines(table))


def json_lines(table: pa.Table) -> Iterator[bytes]:
    r"""Yields each row as one JSON object and a newline: UTF-8, times in ISO 8601."""
    for batch in table.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            yield json.dumps(row, ensure_ascii=False, default=_plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Returns what JSON has no word for as text."""
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
