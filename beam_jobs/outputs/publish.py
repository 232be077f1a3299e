"""From committed parts to the tables that readers see: each URI once, in few files.

A URI with a caption has no failure; of several captions the oldest stays, of several failures
the newest. New files of captions are added beside those published before, unless everything was
computed anew; the failures, which change, are replaced. Nothing committed is removed here: a
publish that is cut off is simply done again.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beam_jobs import records, storage
from beam_jobs.outputs import journal
from beam_jobs.outputs.distinct import Digests, Mask, first_of_each, part_digests
from beam_jobs.outputs.formats import SUFFIXES, TableFiles
from beam_jobs.outputs.install import Workplace
from beam_jobs.outputs.journal import Part
from beam_jobs.records import Column, Table

READS_AHEAD = 8
_Read = TypeVar("_Read")


@dataclasses.dataclass(frozen=True)
class TableState:
    """A published table.

    Attributes:
        num_rows: rows in it.
        num_files: files in it.
        num_bytes: of its files.
        rows_by_run: rows by the run that wrote them.
    """

    num_rows: int
    num_files: int
    num_bytes: int
    rows_by_run: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Published:
    """Both tables, as published."""

    captions: TableState
    failures: TableState


@dataclasses.dataclass(frozen=True)
class Publication:
    """What to publish, and where.

    Attributes:
        output: the job's output folder.
        name: begins the names of new files; a run's id.
        captions: the captions table with its carried columns.
        failures: the failures table with its carried columns.
        output_format: `parquet` or `jsonl`.
        keeps_published: whether rows that are published already stay.
    """

    output: str
    name: str
    captions: Table
    failures: Table
    output_format: str = "parquet"
    keeps_published: bool = True


def publish(publication: Publication) -> Published:
    """Makes the committed rows visible.

    Returns:
        The tables as they are now.

    Raises:
        OSError: where the output cannot be read or written; what is committed stays.
    """
    output = publication.output
    kept = _kept(publication, publication.captions)
    new = journal.committed_parts(output, publication.captions)
    digests = list(read_ahead(part_digests, (*kept, *new)))
    masks = first_of_each(digests, _joined([]))[len(kept) :]
    # Committed failures are newer than published ones, and their names sort by run.
    failed = [
        *reversed(journal.committed_parts(output, publication.failures)),
        *_kept(publication, publication.failures),
    ]
    failed_masks = first_of_each(list(read_ahead(part_digests, failed)), _joined(digests))
    captions = _write(publication, publication.captions, kept, list(zip(new, masks, strict=True)))
    failures = _write(
        publication, publication.failures, [], list(zip(failed, failed_masks, strict=True))
    )
    return Published(captions, failures)


def _kept(publication: Publication, table: Table) -> list[Part]:
    # Rows in JSON lines are not read back: their committed parts are kept instead.
    if not publication.keeps_published or publication.output_format != "parquet":
        return []
    return journal.table_parts(publication.output, table)


def _joined(digests: Sequence[Digests]) -> Digests:
    return np.concatenate([np.array([], dtype="S17"), *digests])


def _write(
    publication: Publication,
    table: Table,
    kept: Sequence[Part],
    parts: Sequence[tuple[Part, Mask]],
) -> TableState:
    """Writes the rows that stay of some parts into new files beside the kept ones."""
    rows_by_run: collections.Counter[str] = collections.Counter()
    for rows in read_ahead(functools.partial(_read, columns=["run_id"]), kept):
        rows_by_run.update(_count_runs(rows))
    with Workplace(publication.output, table.name) as workplace:
        schema = table.arrow_schema()
        # Unlike any name before: a publish that is repeated must not replace its first files.
        prefix = f"{publication.name}-{uuid.uuid4().hex[:8]}"
        files = TableFiles(workplace.folder, prefix, schema, publication.output_format)
        with files:
            for rows in _rows_that_stay(parts, schema):
                rows_by_run.update(_count_runs(rows))
                files.add(rows)
        workplace.install(files.paths, [part.path for part in kept])
    suffix = SUFFIXES[publication.output_format]
    found = list(storage.list_pattern(table_pattern(publication.output, table.name, suffix)))
    return TableState(
        num_rows=sum(rows_by_run.values()),
        num_files=len(found),
        num_bytes=sum(file.size_in_bytes for file in found),
        rows_by_run=dict(rows_by_run),
    )


def table_pattern(output: str, name: str, suffix: str) -> str:
    """Returns the glob of a published table's files."""
    return storage.join(storage.escape(output), name, f"*{suffix}")


def _rows_that_stay(parts: Sequence[tuple[Part, Mask]], schema: pa.Schema) -> Iterator[pa.Table]:
    staying = [(part, mask) for part, mask in parts if mask.any()]
    tables = read_ahead(_read, [part for part, _ in staying])
    for rows, (_, mask) in zip(tables, staying, strict=True):
        rows = rows.cast(schema)
        yield rows if mask.all() else rows.filter(pa.array(mask))


def _read(part: Part, columns: list[str] | None = None) -> pa.Table:
    with storage.open_read(part.path) as stream:
        return pq.ParquetFile(stream).read(columns=columns, use_threads=False)


def _count_runs(rows: pa.Table) -> dict[str, int]:
    counts = pc.value_counts(rows.column("run_id"))
    return {item["values"]: item["counts"] for item in counts.to_pylist()}


def read_ahead(
    read: Callable[[Part], _Read], parts: Iterable[Part], number: int = READS_AHEAD
) -> Iterator[_Read]:
    """Yields what `read` gives for each part, in order, while the next parts are being read.

    Small files on an object store take their time by number, not by size.
    """
    waiting: collections.deque[concurrent.futures.Future[_Read]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(number) as pool:
        for part in parts:
            waiting.append(pool.submit(read, part))
            if len(waiting) > number:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def committed_columns(output: str) -> tuple[Column, ...]:
    """Returns the carried columns of what is committed, from the files themselves."""
    for table in (records.CAPTIONS, records.FAILURES):
        for part in journal.committed_parts(output, table)[:1]:
            with storage.open_read(part.path) as stream:
                schema = pq.read_schema(stream)
            own = {column.name for column in table.columns}
            return tuple(records.carried_column(field) for field in schema if field.name not in own)
    return ()


def tables_of(carried: Sequence[Column]) -> tuple[Table, Table]:
    """Returns the captions and the failures table with the carried columns."""
    return records.CAPTIONS.with_columns(carried), records.FAILURES.with_columns(carried)
