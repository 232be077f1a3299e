"""Names, columns and rows of BigQuery tables, as plain values; asks no server anything.

Takes schemas as `records.Table.bigquery_schema` gives them, which is BigQuery's own JSON form.
"""

import base64
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from model_lib.errors import ConfigError

Field = Mapping[str, Any]

MAX_EXACT_JSON_INTEGER = 2**53 - 1
_NAME = re.compile(
    r"(?P<project>(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]*)[:.](?P<dataset>\w+)\.(?P<table>[\w-]+)",
    re.ASCII,
)
_COLUMN = re.compile(r"[^\W\d]\w{0,299}")
_RESERVED = ("_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER")
_LEGACY_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
_TIMES = frozenset({"TIMESTAMP", "DATETIME", "TIME"})


class TableName(NamedTuple):
    """Where a table is."""

    project: str
    dataset: str
    table: str

    @classmethod
    def parse(cls, text: str) -> "TableName":
        """Reads `PROJECT:DATASET.TABLE` or `PROJECT.DATASET.TABLE`.

        Raises:
            ConfigError: for anything else.
        """
        match = _NAME.fullmatch(text)
        if not match:
            raise ConfigError(
                f"--output_table {text}: is no name of a table; expected PROJECT:DATASET.TABLE"
            )
        return cls(**match.groupdict())

    def with_suffix(self, suffix: str) -> "TableName":
        """Returns a table beside this one, whose name goes on with a suffix."""
        return self._replace(table=self.table + suffix)

    @property
    def dataset_id(self) -> str:
        """The dataset, as Google's client takes it."""
        return f"{self.project}.{self.dataset}"

    @property
    def sql(self) -> str:
        """The table, as SQL takes it."""
        return f"`{self.project}.{self.dataset}.{self.table}`"

    def __str__(self) -> str:
        """The table, as Beam and the command line take it."""
        return f"{self.project}:{self.dataset}.{self.table}"


def check_columns(fields: Sequence[Field]) -> None:
    """Refuses columns that BigQuery would refuse after all the work is done.

    Raises:
        ConfigError: where a name is not allowed there, or two differ in case only.
    """
    seen: dict[str, str] = {}
    for field in fields:
        name = field["name"]
        if not _COLUMN.fullmatch(name) or name.upper().startswith(_RESERVED):
            raise ConfigError(
                f"column {name!r}: BigQuery takes letters, digits and underscores only, no digit "
                "first; rename it, or leave it out with --carry_columns"
            )
        if name.lower() in seen:
            raise ConfigError(
                f"columns {seen[name.lower()]!r} and {name!r} are the same to BigQuery; rename "
                "one, or leave it out with --carry_columns"
            )
        seen[name.lower()] = name
        check_columns(field.get("fields", ()))


def differences(present: Sequence[Field], wanted: Sequence[Field], prefix: str = "") -> list[str]:
    """Returns a phrase for each column in which a table differs from what is wanted.

    A column that may be null in the table and never is in our rows is no difference.
    """
    there, ours = ({field["name"]: field for field in fields} for fields in (present, wanted))
    found = [f"{prefix}{name} is only in the table" for name in there.keys() - ours.keys()]
    found += [f"{prefix}{name} is not in the table" for name in ours.keys() - there.keys()]
    for name in there.keys() & ours.keys():
        old, new = _kind(there[name]), _kind(ours[name])
        if old != new:
            found.append(f"{prefix}{name} is {old} in the table, {new} in the rows")
        else:
            inner = (there[name].get("fields", ()), ours[name].get("fields", ()))
            found += differences(*inner, f"{prefix}{name}.")
    return sorted(found)


def _kind(field: Field) -> str:
    kind = _LEGACY_TYPES.get(field["type"], field["type"])
    return f"repeated {kind}" if field.get("mode") == "REPEATED" else str(kind)


def json_row(row: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    """Returns a row as a load job's JSON holds it: plain values, nothing rounded.

    Args:
        row: values as pyarrow or `formats.json_lines` gives them.
        fields: the table's columns.

    Raises:
        ValueError: for a null inside a list, which BigQuery has no place for.
    """
    return {field["name"]: _json_value(row[field["name"]], field) for field in fields}


def _json_value(value: Any, field: Field) -> Any:
    if field["mode"] == "REPEATED":
        return list(_elements(value or (), field))
    return None if value is None else _json_scalar(value, field)


def _elements(values: Sequence[Any], field: Field) -> Iterator[Any]:
    for value in values:
        if value is None:
            raise ValueError(
                f"column {field['name']}: a list holds a null, which BigQuery's arrays cannot; "
                "leave the column out with --carry_columns"
            )
        yield _json_scalar(value, field)


def _json_scalar(value: Any, field: Field) -> Any:
    kind = field["type"]
    if kind == "RECORD":
        return json_row(value, field["fields"])
    if kind == "BYTES":
        # JSON lines hold bytes as hex digits.
        data = bytes.fromhex(value) if isinstance(value, str) else value
        return base64.b64encode(data).decode()
    if kind in _TIMES and not isinstance(value, str):
        return value.isoformat(timespec="microseconds")
    if kind == "INTEGER" and abs(value) > MAX_EXACT_JSON_INTEGER:
        return str(value)
    if kind == "FLOAT" and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value) if kind in ("NUMERIC", "DATE") else value
