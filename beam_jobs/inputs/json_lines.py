"""JSON lines: one object a line, its members by column name.

Blank lines and a byte order mark are passed over. A member that a row lacks is null.
"""

import codecs
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from beam_jobs.inputs.evidence import Evidence
from beam_jobs.inputs.formats import InputSpec
from beam_jobs.inputs.lines import BoundedLines, open_bytes
from beam_jobs.inputs.listing import input_files
from beam_jobs.inputs.problems import BadRowError, RowError, passing_over_damage
from beam_jobs.inputs.tables import RawRow, is_wanted
from beam_jobs.inputs.values import checked_text, shown

# Rows looked at for the columns' names where not all are read for their types.
CHECKED_ROWS = 1000


def column_names(spec: InputSpec, path: str) -> list[str]:
    """Returns the names of members in the first rows of a file, in order of appearance."""
    names: dict[str, None] = {}
    for number, record in enumerate(_objects(spec, path)):
        if number == CHECKED_ROWS:
            break
        if isinstance(record, dict):
            names.update(dict.fromkeys(record))
    return list(names)


def column_types(spec: InputSpec, names: Sequence[str] | None) -> dict[str, pa.DataType]:
    """Returns the columns asked for and their types, from every value of all files.

    Whole numbers and fractions together are float64; what is neither a number, text, a truth
    value nor a list of one of them is text, and so is a mixture.

    Args:
        spec: the input.
        names: of the columns asked for; None for all but the URI's.
    """
    evidence: dict[str, Evidence] = {}
    for path in input_files(spec):
        with passing_over_damage():
            for record in _objects(spec, path):
                for name, value in () if isinstance(record, RowError) else record.items():
                    if is_wanted(name, spec.uri_column, names):
                        evidence.setdefault(name, Evidence()).add_value(value)
    return {name: seen.type() for name, seen in evidence.items()}


def read_raw(spec: InputSpec, path: str) -> Iterator[RawRow | RowError]:
    """Yields the rows of one file."""
    for record in _objects(spec, path):
        if isinstance(record, RowError):
            yield record
        else:
            values = [record.get(name) for name in spec.carried]
            yield RawRow(record.get(spec.uri_column), values)


def _objects(spec: InputSpec, path: str) -> Iterator[dict[str, Any] | RowError]:
    with open_bytes(path, spec.base_folder) as stream:
        lines = BoundedLines(stream)
        number = 0
        while True:
            number += 1
            try:
                line = next(lines).strip()
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line:
                    yield _parse(line, number)
            except StopIteration:
                return
            except BadRowError as error:
                yield BadRowError(f"line {number}: {error}")


def _parse(line: bytes, number: int) -> dict[str, Any] | RowError:
    # A byte that is not UTF-8 costs the row only where the row's own text needs it.
    text = line.decode("utf-8", "surrogateescape")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return BadRowError(f"line {number} is not JSON: {error}: {shown(text)}")
    if not isinstance(value, dict):
        return BadRowError(f"line {number} is JSON, but no object: {shown(text)}")
    try:
        for name in value:
            checked_text(name)
    except RowError as error:
        return error
    return value
