"""Rows of every input but BigQuery's, which Beam reads itself (`bigquery_rows.py`).

Takes an `InputSpec`, gives `InputRow`s one by one, in bounded memory, through whatever file
system it lies on. What is wrong with a row becomes a row; what is wrong with a file, one row for
the rest of it. A storage that fails raises: a run must not end as if it had seen everything.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from beam_jobs.inputs import delimited, json_lines, parquet_rows, tar_shards, text_lists
from beam_jobs.inputs.formats import InputSpec
from beam_jobs.inputs.listing import expand_location, input_files
from beam_jobs.inputs.problems import (
    BadRowError,
    MissingUriError,
    RowError,
    damaged,
    is_damage,
    problem,
)
from beam_jobs.inputs.rows import InputRow
from beam_jobs.inputs.tables import RawRow
from beam_jobs.inputs.values import Convert, checked_text, from_json, from_text, shown
from beam_jobs.records import printable

# Positions are `part * ROWS_IN_PART + row`: files of an input may be read apart.
ROWS_IN_PART = 2**40
_T = TypeVar("_T")


def read_rows(spec: InputSpec) -> Iterator[InputRow]:
    """Yields the rows of an input, in order.

    Args:
        spec: of any format but `bigquery`.
    """
    if spec.format == "images":
        for at, uri in enumerate(expand_location(spec.where, spec.base_folder)):
            yield InputRow(uri, _nulls(spec), (spec.number, at))
    elif spec.format == "text":
        yield from _read_file(spec, text_lists.list_address(spec.where), spec.part)
    else:
        for part, path in enumerate(input_files(spec), spec.part):
            yield from _read_file(spec, path, part)


def split_input(spec: InputSpec) -> Iterator[InputSpec]:
    """Yields an input of many tables or archives as one input for each file.

    Read one after the other, or by different workers, they give the rows of the whole.
    """
    if spec.format in ("images", "text", "bigquery"):
        yield spec
        return
    for part, path in enumerate(input_files(spec), spec.part):
        yield dataclasses.replace(spec, where=path, part=part)


def make_row(
    raw: RawRow | RowError, place: str, position: tuple[int, int], converters: Sequence[Convert]
) -> InputRow:
    """Returns the input row for a row of a table.

    Args:
        raw: what the table holds, or why it cannot be told.
        place: where the row is, which names it where it has no URI: `table.csv#row=17`.
        position: the row's position.
        converters: one for each carried column.
    """
    place = printable(place)
    if isinstance(raw, RowError):
        return InputRow(place, (None,) * len(converters), position, problem=problem(raw))
    carried, error = _carried(raw.values, converters)
    try:
        uri = _uri(raw.uri)
    except RowError as uri_error:
        return InputRow(place, carried, position, problem=problem(uri_error))
    if error is not None:
        told = type(error)(f"{error}; the row's image is {uri}")
        return InputRow(place, carried, position, problem=problem(told))
    return InputRow(uri, carried, position)


def until_damage(rows: Iterable[_T | RowError]) -> Iterator[_T | RowError]:
    """Yields rows until the file turns out to be damaged, then the error that says so."""
    try:
        yield from rows
    # Every format and every file system has errors of its own; `is_damage` tells which is which.
    except Exception as error:
        if not is_damage(error):
            raise
        yield damaged(error)


def _read_file(spec: InputSpec, path: str, part: int) -> Iterator[InputRow]:
    first = part * ROWS_IN_PART
    if spec.format == "webdataset":
        for at, row in enumerate(tar_shards.read_members(spec, path)):
            yield row._replace(position=(spec.number, first + at))
        return
    reader, converter = _READERS[spec.format]
    converters = [converter(kind) for kind in spec.carried_types]
    for at, raw in enumerate(until_damage(reader(spec, path))):
        yield make_row(raw, f"{path}#row={at + 1}", (spec.number, first + at), converters)


def _as_it_is(_: Any) -> Convert:
    return lambda value: value


_READERS: dict[
    str, tuple[Callable[[InputSpec, str], Iterator[RawRow | RowError]], Callable[[Any], Convert]]
] = {
    "text": (text_lists.read_raw, _as_it_is),
    "csv": (delimited.read_raw, from_text),
    "tsv": (delimited.read_raw, from_text),
    "jsonl": (json_lines.read_raw, from_json),
    "parquet": (parquet_rows.read_raw, _as_it_is),
}


def _nulls(spec: InputSpec) -> tuple[None, ...]:
    return (None,) * len(spec.carried)


def _uri(value: Any) -> str:
    """Returns the URI, checked.

    Raises:
        RowError: for one that is missing, or is no text.
    """
    if value is None:
        raise MissingUriError("the row has no URI")
    if isinstance(value, RowError):
        raise value
    if not isinstance(value, str):
        raise BadRowError(f"the URI is not text: {shown(value)}")
    if not value.strip():
        raise MissingUriError("the row's URI is empty")
    return checked_text(value)


def _carried(
    values: Sequence[Any], converters: Sequence[Convert]
) -> tuple[tuple[Any, ...], RowError | None]:
    """Returns the carried values, null where one is no good, and the first thing wrong."""
    carried: list[Any] = []
    first_error: RowError | None = None
    for value, convert in zip(values or (None,) * len(converters), converters, strict=True):
        try:
            if isinstance(value, RowError):
                raise value
            carried.append(convert(value))
        except RowError as error:
            carried.append(None)
            first_error = first_error or error
    return tuple(carried), first_error
