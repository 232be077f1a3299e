"""Types of columns whose file declares none: from the values that it holds.

`Evidence` looks at every value of a column, as CSV text or as parsed JSON, and then names the
narrowest of int64, float64, bool and text that holds them all exactly (lists of these too, for
JSON). An identifier is never damaged: `007` is text, and so is a number too long for its type.
"""

import re
from typing import Any

import pyarrow as pa

from beam_jobs.inputs.values import INT64

# What has been seen in a column, as bits: a column may have seen several.
_INT, _LONG_INT, _FLOAT, _BOOL, _TEXT, _OTHER = 1, 2, 4, 8, 16, 32
_EXACT_IN_FLOAT = range(-(2**53), 2**53 + 1)
_INT_CELL = re.compile(r"-?[1-9][0-9]{0,18}|0")
_FLOAT_CELL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?|-?\.[0-9]+|-?inf|nan|NaN")
_BOOL_CELL = re.compile(r"true|false|True|False|TRUE|FALSE")
_INFINITE = float("inf")


class Evidence:
    """What one column has been seen to hold."""

    def __init__(self) -> None:
        """Begins with nothing seen."""
        self._scalars = 0
        self._elements = 0
        self._has_lists = False

    def add_cell(self, cell: str) -> None:
        """Looks at a cell of a CSV file; an empty one says nothing."""
        if cell and not self._scalars & _TEXT:
            self._scalars |= _seen_in_cell(cell)

    def add_value(self, value: Any) -> None:
        """Looks at a parsed JSON value; null says nothing."""
        if isinstance(value, list):
            self._has_lists = True
            for element in value:
                self._elements |= _seen_in_value(element)
        else:
            self._scalars |= _seen_in_value(value)

    def type(self) -> pa.DataType:
        """Returns the column's type; Arrow's null type where nothing was seen."""
        if not self._has_lists:
            return _narrowest(self._scalars) or pa.string()
        element = _narrowest(self._elements)
        return pa.string() if self._scalars or element is None else pa.list_(element)


def _narrowest(seen: int) -> pa.DataType | None:
    """Returns the type that holds all of these; None where only JSON does."""
    if not seen:
        return pa.null()
    for allowed, kind in (
        (_INT | _LONG_INT, pa.int64()),
        (_INT | _FLOAT, pa.float64()),
        (_BOOL, pa.bool_()),
        (_TEXT, pa.string()),
    ):
        if not seen & ~allowed:
            return kind
    return None


def _seen_in_cell(cell: str) -> int:
    if _INT_CELL.fullmatch(cell):
        return _seen_in_int(int(cell))
    if _FLOAT_CELL.fullmatch(cell):
        return _seen_in_float_cell(cell)
    return _BOOL if _BOOL_CELL.fullmatch(cell) else _TEXT


def _seen_in_float_cell(cell: str) -> int:
    # A whole number that is no int64, and `-0`, would lose digits; `1e999` would be infinite.
    if cell.lstrip("-").isdigit() or ("inf" not in cell and abs(float(cell)) == _INFINITE):
        return _TEXT
    return _FLOAT


def _seen_in_value(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, bool):
        return _BOOL
    if isinstance(value, int):
        return _seen_in_int(value) if value in INT64 else _OTHER
    if isinstance(value, float):
        return _FLOAT
    return _TEXT if isinstance(value, str) else _OTHER


def _seen_in_int(value: int) -> int:
    if value not in INT64:
        return _TEXT
    return _INT if value in _EXACT_IN_FLOAT else _LONG_INT
