"""Carried values: from what a file holds to Python objects that Arrow takes back unchanged.

Every function here gives values that `pa.array(..., type)` accepts and that Beam can encode:
plain Python objects, and whole numbers for times with nanoseconds, which Python has no type for.
"""

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from beam_jobs.inputs.problems import BadRowError, NotUtf8Error, RowError
from beam_jobs.records import printable

Convert = Callable[[Any], Any]

INT64 = range(-(2**63), 2**63)
MAX_SHOWN = 80
TRUTH = {"true": True, "false": False}


def carried_type(kind: pa.DataType) -> pa.DataType:
    """Returns the type in which a column is carried: its own, with three exceptions.

    A dictionary gives its values' type, an extension type what it is stored as, and a column
    that holds nulls alone text.
    """
    if pa.types.is_null(kind):
        return pa.string()
    return _with_inner(plain_type(kind), carried_type)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Returns a type without dictionaries and extension types; null stays null."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    return _with_inner(kind, plain_type)


def exchange_type(kind: pa.DataType) -> pa.DataType:
    """Returns the type whose Python objects stand for a column: int64 for nanoseconds."""
    if getattr(kind, "unit", None) == "ns":
        return pa.int64()
    return _with_inner(kind, exchange_type)


def python_values(array: Any, kind: pa.DataType) -> list[Any]:
    """Returns an array's values as Python objects; a value that has none is a `RowError`.

    Args:
        array: an Arrow array or column.
        kind: the type that the column is carried in.
    """
    try:
        return _objects(array, kind)
    except (pa.ArrowException, ValueError, OverflowError):
        return [_object_or_error(array.slice(at, 1), kind) for at in range(len(array))]


def from_text(kind: pa.DataType) -> Convert:
    """Returns a function from a cell of a CSV file to a value; empty is null, but in text."""
    if is_text(kind):
        return lambda cell: None if cell is None else checked_text(cell)
    parse = _cell_parser(kind)
    return _checked(lambda cell: parse(cell) if cell else None, kind)


def from_json(kind: pa.DataType) -> Convert:
    """Returns a function from a parsed JSON value to a carried one.

    In a column of text what is no text is its JSON.
    """
    if is_text(kind):
        return _json_text
    return from_python(kind)


def from_python(kind: pa.DataType) -> Convert:
    """Returns a function from a Python object to a carried value; text becomes times and such."""
    if is_text(kind):
        return _required_text
    if pa.types.is_list(kind):
        element = from_python(kind.value_type)
        return _checked(lambda value: [element(inner) for inner in _list(value)], kind)
    if pa.types.is_int64(kind):
        return _checked(_whole_number, kind)
    if pa.types.is_float64(kind):
        return _checked(_number, kind)
    return _checked(lambda value: _by_arrow(value, kind), kind)


def is_text(kind: pa.DataType) -> bool:
    """Tells whether values of the type are text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def checked_text(text: str) -> str:
    """Returns text unchanged.

    Raises:
        NotUtf8Error: where it holds a byte that is not UTF-8, as a lone surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotUtf8Error(f"not UTF-8: {shown(text)}") from None
    return text


def shown(value: Any) -> str:
    """Returns a value as messages show it, cut to a readable length."""
    text = printable(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _with_inner(kind: pa.DataType, change: Callable[[Any], Any]) -> pa.DataType:
    """Returns a nested type with its inner types changed; any other type unchanged."""
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(change(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(change(kind.key_type), change(kind.item_type))
    if pa.types.is_fixed_size_list(kind):
        inner = kind.value_field
        return pa.list_(inner.with_type(change(inner.type)), kind.list_size)
    for is_kind, make in ((pa.types.is_list, pa.list_), (pa.types.is_large_list, pa.large_list)):
        if is_kind(kind):
            return make(kind.value_field.with_type(change(kind.value_type)))
    return kind


def _objects(array: Any, kind: pa.DataType) -> list[Any]:
    if array.type != kind:
        array = array.cast(kind)
    exchanged = exchange_type(kind)
    return list((array if exchanged == kind else array.cast(exchanged)).to_pylist())


def _object_or_error(array: Any, kind: pa.DataType) -> Any:
    try:
        return _objects(array, kind)[0]
    except UnicodeDecodeError as error:
        return NotUtf8Error(f"not UTF-8: {shown(error.object.decode('utf-8', 'backslashreplace'))}")
    except (pa.ArrowException, ValueError, OverflowError) as error:
        return BadRowError(f"a value does not fit {kind}: {error}")


def _checked(convert: Convert, kind: pa.DataType) -> Convert:
    """Returns the function with its errors told as those of a row; null stays null."""

    def checked(value: Any) -> Any:
        if value is None:
            return None
        try:
            return convert(value)
        except RowError:
            raise
        except (pa.ArrowException, ValueError, OverflowError, TypeError):
            if isinstance(value, str):
                checked_text(value)
            raise BadRowError(f"{shown(value)} does not fit {kind}") from None

    return checked


def _by_arrow(value: Any, kind: pa.DataType) -> Any:
    if isinstance(value, str) and not _holds_text(kind):
        return _objects(pa.array([value]).cast(kind), kind)[0]
    if isinstance(value, float) and pa.types.is_integer(kind):
        # Arrow would cut off the fraction.
        raise ValueError(value)
    return _objects(pa.array([value], type=kind), kind)[0]


def _whole_number(value: Any) -> int:
    if type(value) is not int or value not in INT64:
        raise ValueError(value)
    return value


def _number(value: Any) -> float:
    if type(value) is not float and (type(value) is not int or int(float(value)) != value):
        raise ValueError(value)
    return float(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(value)
    return value


def _cell_parser(kind: pa.DataType) -> Convert:
    if pa.types.is_int64(kind):
        return _parse_int
    if pa.types.is_float64(kind):
        return float
    if pa.types.is_boolean(kind):
        return _parse_bool
    return lambda cell: _objects(pa.array([cell]).cast(kind), kind)[0]


def _parse_int(cell: str) -> int:
    value = int(cell)
    if value not in INT64:
        raise ValueError(cell)
    return value


def _parse_bool(cell: str) -> bool:
    if cell.lower() not in TRUTH:
        raise ValueError(cell)
    return TRUTH[cell.lower()]


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value if value is None else checked_text(value)
    return checked_text(json.dumps(value, ensure_ascii=False))


def _required_text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise BadRowError(f"{shown(value)} is not text")
    return value if value is None else checked_text(value)


def _holds_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
