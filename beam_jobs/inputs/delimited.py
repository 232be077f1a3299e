"""CSV and TSV files: rows of text cells under a header.

RFC 4180 as Python's `csv` reads it, strictly: quotes, doubled quotes, line ends inside quotes. A
header is required; a byte order mark and blank lines are passed over. A column without a name is
called `column_3`, for the third. No cell may be above 131,072 characters, `csv`'s own limit,
which also bounds what a quote that is never closed can swallow.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from beam_jobs.inputs.evidence import Evidence
from beam_jobs.inputs.formats import InputSpec
from beam_jobs.inputs.lines import BoundedLines, open_bytes
from beam_jobs.inputs.listing import input_files
from beam_jobs.inputs.problems import BadRowError, NotUtf8Error, RowError, passing_over_damage
from beam_jobs.inputs.tables import RawRow, check_names, is_wanted, positions
from beam_jobs.inputs.values import checked_text
from model_lib.errors import ConfigError

DELIMITERS = {"csv": ",", "tsv": "\t"}


class Record(NamedTuple):
    """The cells of a row, and the line on which it ends, from 1."""

    line: int
    cells: list[str]


def column_names(spec: InputSpec, path: str) -> list[str]:
    """Returns the names in a file's header.

    Raises:
        ConfigError: for a file without a header that can be read.
    """
    try:
        return _header(_records(spec, path))
    except RowError as error:
        raise ConfigError(f"{path}: {error}") from error


def column_types(spec: InputSpec, names: Sequence[str] | None) -> dict[str, pa.DataType]:
    """Returns the columns asked for and their types, from every cell of all files.

    Rows that are no good say nothing here; they become failures when they are read.

    Args:
        spec: the input.
        names: of the columns asked for; None for all but the URI's.

    Raises:
        ConfigError: for a column that is there twice.
    """
    evidence: dict[str, Evidence] = {}
    for path in input_files(spec):
        with passing_over_damage():
            records = _records(spec, path)
            header = _header(records)
            wanted = [name for name in header if is_wanted(name, spec.uri_column, names)]
            check_names(header, wanted, path)
            _add_evidence(
                records, header, {name: evidence.setdefault(name, Evidence()) for name in wanted}
            )
    return {name: seen.type() for name, seen in evidence.items()}


def read_raw(spec: InputSpec, path: str) -> Iterator[RawRow | RowError]:
    """Yields the rows of one file."""
    records = _records(spec, path)
    names = _header(records)
    at_uri, *at_carried = positions(names, spec.uri_column, spec.carried)
    assert at_uri is not None
    for record in records:
        if isinstance(record, RowError):
            yield record
        elif len(record.cells) != len(names):
            yield BadRowError(
                f"line {record.line}: {len(record.cells)} cells, but the header has {len(names)}"
            )
        else:
            values = [None if at is None else record.cells[at] for at in at_carried]
            yield RawRow(record.cells[at_uri].strip(), values)


def _add_evidence(
    records: Iterator[Record | RowError], header: list[str], evidence: Mapping[str, Evidence]
) -> None:
    columns = [(header.index(name), seen.add_cell) for name, seen in evidence.items()]
    for record in records:
        if not isinstance(record, RowError) and len(record.cells) == len(header):
            for at, add_cell in columns:
                add_cell(record.cells[at])


def _records(spec: InputSpec, path: str) -> Iterator[Record | RowError]:
    with open_bytes(path, spec.base_folder) as stream:
        # A byte that is not UTF-8 costs the row that needs it, and no other.
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(BoundedLines(text), delimiter=DELIMITERS[spec.format], strict=True)
        while True:
            first = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, BadRowError) as error:
                last = reader.line_num
                lines = f"line {first}" if last <= first else f"lines {first} to {last}"
                yield BadRowError(f"{lines}: {error}")
            else:
                if cells:
                    yield Record(reader.line_num, cells)


def _header(records: Iterator[Record | RowError]) -> list[str]:
    record = next(records, None)
    if record is None:
        raise BadRowError("the file is empty; expected a header with the columns' names")
    if isinstance(record, RowError):
        raise BadRowError(f"the header cannot be read: {record}")
    try:
        names = [checked_text(cell.strip()) for cell in record.cells]
    except NotUtf8Error as error:
        raise NotUtf8Error(f"the header cannot be read: {error}; save the file as UTF-8") from error
    return [name or f"column_{number}" for number, name in enumerate(names, 1)]
