"""What all table readers share: rows as they stand in a file, and columns looked up by name.

A reader (CSV, TSV, JSON lines, Parquet) yields a `RawRow` or a `RowError` for each row of one
file. A `RowError` that it raises stands for all rows that would follow.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from beam_jobs.inputs.problems import BadRowError
from model_lib.errors import ConfigError


class RawRow(NamedTuple):
    """A row as its file holds it.

    Attributes:
        uri: what the URI column holds; None for nothing, a `RowError` where it cannot be read.
        values: of the carried columns, in the job's order; None where the file has no such
            column, a `RowError` where the value cannot be read.
    """

    uri: Any
    values: Sequence[Any] = ()


def check_names(names: Sequence[str], needed: Iterable[str], place: str) -> None:
    """Refuses a table in which a needed column is there twice.

    Raises:
        ConfigError: naming the column.
    """
    wanted = set(needed)
    twice = [name for name, times in Counter(names).items() if times > 1 and name in wanted]
    if twice:
        raise ConfigError(
            f"{place}: column {twice[0]!r} is there more than once; rename one, or leave it out "
            "with --carry_columns"
        )


def is_wanted(name: str, uri_column: str, names: Sequence[str] | None) -> bool:
    """Tells whether a column of a table is carried.

    Args:
        name: the column's.
        uri_column: carried only where it is asked for by name.
        names: of the columns asked for; None for all others.
    """
    return name != uri_column if names is None else name in names


def no_uri_column(name: str, names: Sequence[str], place: str) -> ConfigError:
    """Returns the error for a table without the URI column."""
    columns = ", ".join(names) or "none"
    return ConfigError(
        f"{place}: there is no column {name!r}; the columns are {columns}; --uri_column names "
        "the one that holds the image's URI"
    )


def positions(names: Sequence[str], uri_column: str, carried: Sequence[str]) -> list[int | None]:
    """Returns where the URI column and the carried ones are in a file; None for one that is not.

    Raises:
        BadRowError: for a file without the URI column; it stands for all the file's rows.
    """
    if uri_column not in names:
        raise BadRowError(f"the file has no column {uri_column!r}; it has {', '.join(names)}")
    wanted = (uri_column, *carried)
    return [names.index(name) if name in names else None for name in wanted]
