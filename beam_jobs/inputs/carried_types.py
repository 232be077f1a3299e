"""Arrow types of carried columns as BigQuery declares them."""

from typing import Any

import pyarrow as pa

from model_lib.errors import ConfigError


def arrow_to_bigquery(field: pa.Field) -> dict[str, Any]:
    """Returns a nullable column of BigQuery for an Arrow field.

    Args:
        field: a column carried from an input table.

    Raises:
        ConfigError: for a type that BigQuery has no equal of.
    """
    kind = field.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        element = arrow_to_bigquery(pa.field(field.name, kind.value_type))
        if element["mode"] == "REPEATED":
            raise _no_equal(field)
        return {**element, "mode": "REPEATED"}
    declared: dict[str, Any] = {"name": field.name, "type": _scalar(field), "mode": "NULLABLE"}
    if pa.types.is_struct(kind):
        declared["fields"] = [arrow_to_bigquery(inner) for inner in kind]
    return declared


def _scalar(field: pa.Field) -> str:
    kind, is_ = field.type, pa.types
    if is_.is_timestamp(kind):
        return "TIMESTAMP" if kind.tz else "DATETIME"
    tests = {
        "BOOLEAN": is_.is_boolean,
        "INTEGER": is_.is_integer,
        "FLOAT": is_.is_floating,
        "NUMERIC": is_.is_decimal,
        "DATE": is_.is_date,
        "TIME": is_.is_time,
        "RECORD": is_.is_struct,
        "STRING": lambda kind: is_.is_string(kind) or is_.is_large_string(kind),
        "BYTES": lambda kind: is_.is_binary(kind) or is_.is_large_binary(kind),
    }
    for name, matches in tests.items():
        if matches(kind):
            return name
    raise _no_equal(field)


def _no_equal(field: pa.Field) -> ConfigError:
    return ConfigError(
        f"column {field.name!r} of type {field.type} cannot be written to BigQuery; leave it out "
        "with --carry_columns"
    )
