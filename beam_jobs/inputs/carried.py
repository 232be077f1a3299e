"""Columns that the job carries from its inputs into its tables: which, and of what type.

Decided in the launcher, before the pipeline is built. Parquet and BigQuery declare their types;
CSV, TSV and JSON lines are read once from start to end for them, value by value.
"""

import dataclasses
import difflib
from collections.abc import Callable, Sequence

import pyarrow as pa

from beam_jobs.inputs import bigquery_rows, delimited, json_lines, parquet_rows, tar_shards
from beam_jobs.inputs.checking import first_columns
from beam_jobs.inputs.formats import InputSpec
from beam_jobs.inputs.listing import input_files
from beam_jobs.inputs.problems import passing_over_damage
from beam_jobs.inputs.tables import check_names, is_wanted
from beam_jobs.inputs.values import carried_type
from beam_jobs.records import CAPTIONS, FAILURES, Column
from model_lib.errors import ConfigError

RENAMED = "input_"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CarriedColumn(Column):
    """A column that came with the input.

    Attributes:
        source: its name in the input; `name` differs where one of our own columns has that.
    """

    source: str


def carried_columns(
    specs: Sequence[InputSpec], names: Sequence[str] | None = None
) -> tuple[CarriedColumn, ...]:
    """Returns the job's carried columns.

    A column that several inputs have gets the narrowest type that holds all of theirs. One named
    like a column of ours, whatever the case of its letters, is carried as `input_NAME`.

    Args:
        specs: the inputs.
        names: of the columns to carry; None for all but the URI's, empty for none.

    Raises:
        ConfigError: for a name that no input has, types that do not go together, or a table
            that cannot be read.
    """
    if names is not None and not names:
        return ()
    found: dict[str, tuple[pa.DataType, str]] = {}
    for spec in specs:
        for name, kind in _column_types(spec, names).items():
            found[name] = _unified(name, found.get(name), (kind, spec.where))
    wanted = list(dict.fromkeys(found if names is None else names))
    for name in wanted:
        if name not in found:
            raise _unknown(name, specs)
    renamed = _names(wanted)
    return tuple(_column(renamed[source], source, found[source][0]) for source in wanted)


def _column(name: str, source: str, kind: pa.DataType) -> CarriedColumn:
    told = "carried from the input" + ("" if name == source else f", there {source}")
    return CarriedColumn(
        name, "arrow", told, nullable=True, arrow=carried_type(kind), source=source
    )


def _column_types(spec: InputSpec, names: Sequence[str] | None) -> dict[str, pa.DataType]:
    """Returns the columns of an input that are asked for; Arrow's null type for unknown."""
    if spec.format in ("images", "text"):
        return {}
    if spec.format == "webdataset":
        key = tar_shards.KEY_COLUMN
        return {key: pa.string()} if names is None or key in names else {}
    try:
        return _READERS[spec.format](spec, names)
    except ConfigError as error:
        raise ConfigError(f"--input {spec.where}: {error}") from error
    # Beam's file systems and cloud clients have errors of their own.
    except Exception as error:
        raise ConfigError(f"--input {spec.where}: cannot be read: {error}") from error


def _types_of_parquet(spec: InputSpec, names: Sequence[str] | None) -> dict[str, pa.DataType]:
    kinds: dict[str, tuple[pa.DataType, str]] = {}
    for path in input_files(spec):
        with passing_over_damage():
            schema = parquet_rows.read_schema(spec, path)
            for field in _wanted_fields(schema, spec, names, path):
                kinds[field.name] = _unified(field.name, kinds.get(field.name), (field.type, path))
    return {name: kind for name, (kind, _) in kinds.items()}


def _wanted_fields(
    schema: pa.Schema, spec: InputSpec, names: Sequence[str] | None, path: str
) -> list[pa.Field]:
    wanted = [field for field in schema if is_wanted(field.name, spec.uri_column, names)]
    check_names(schema.names, [field.name for field in wanted], path)
    return wanted


_READERS: dict[str, Callable[[InputSpec, Sequence[str] | None], dict[str, pa.DataType]]] = {
    "csv": delimited.column_types,
    "tsv": delimited.column_types,
    "jsonl": json_lines.column_types,
    "parquet": _types_of_parquet,
    "bigquery": bigquery_rows.column_types,
}


def _unified(
    name: str, before: tuple[pa.DataType, str] | None, new: tuple[pa.DataType, str]
) -> tuple[pa.DataType, str]:
    if before is None:
        return new
    schemas = [pa.schema([(name, kind)]) for kind, _ in (before, new)]
    try:
        [field] = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException:
        raise ConfigError(
            f"column {name!r} is {before[0]} in {before[1]}, but {new[0]} in {new[1]}; make the "
            "types equal, or leave it out with --carry_columns"
        ) from None
    return field.type, before[1]


def _unknown(name: str, specs: Sequence[InputSpec]) -> ConfigError:
    known = list(dict.fromkeys(known for spec in specs for known in first_columns(spec)))
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return ConfigError(
        f"--carry_columns {name}: no input has such a column; {hint}they have "
        f"{', '.join(known) or 'none'}"
    )


def _names(sources: Sequence[str]) -> dict[str, str]:
    """Returns the names in our tables, free of our own columns' names and of each other's."""
    ours = {column.name for table in (CAPTIONS, FAILURES) for column in table.columns}
    taken = ours | {source.lower() for source in sources if source.lower() not in ours}
    names: dict[str, str] = {}
    for source in sources:
        name = source
        if source.lower() in ours:
            while name.lower() in taken:
                name = RENAMED + name
            taken.add(name.lower())
        names[source] = name
    return names
