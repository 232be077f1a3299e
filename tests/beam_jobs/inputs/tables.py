"""What the readers' tests share: a job's settings, and what reading gives in a few words."""

from pathlib import Path
from typing import Any

from beam_jobs.config import JobConfig
from beam_jobs.inputs.carried import carried_columns
from beam_jobs.inputs.formats import InputSpec, parse_input
from beam_jobs.inputs.reading import read_rows
from beam_jobs.inputs.rows import InputRow


def job_config(*inputs: str, **settings: Any) -> JobConfig:
    return JobConfig(input=inputs or ("unused",), output="out", **settings)


def planned(where: str | Path, **settings: Any) -> InputSpec:
    """An input as the job plans it: with its carried columns."""
    config = job_config(**settings)
    spec = parse_input(str(where), 0, config)
    return spec.with_carried(carried_columns([spec], config.carry_columns))


def rows_of(where: str | Path, **settings: Any) -> list[InputRow]:
    return list(read_rows(planned(where, **settings)))


def good(rows: list[InputRow]) -> list[tuple[Any, ...]]:
    """URIs and carried values of rows, none of which may be bad."""
    assert [row.problem for row in rows if row.problem] == []
    return [(row.uri, *row.carried) for row in rows]


def outcomes(rows: list[InputRow], folder: str | Path = "") -> list[tuple[str, str]]:
    """Each row's URI, less the folder, and its error or an empty text."""
    front = f"{folder}/" if folder else ""
    return [
        (row.uri.removeprefix(front), row.problem.error_type if row.problem else "") for row in rows
    ]


def types_of(spec: InputSpec) -> dict[str, str]:
    """Carried columns and their types."""
    return dict(zip(spec.carried, map(str, spec.carried_types), strict=True))
