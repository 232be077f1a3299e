"""The SQL that brings loaded rows into the final tables of BigQuery, and leaves out what is there.

Each table is changed by statements that do nothing when they are done again. BigQuery carries out
each of them whole or not at all.
"""

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Any

from beam_jobs.outputs.bigquery_rows import TableName
from beam_jobs.records import Table

KEY = ("uri", "model_fingerprint", "decode_config")


@dataclasses.dataclass(frozen=True)
class Target:
    """A final table.

    Attributes:
        name: where it is.
        table: what it holds.
        partition_column: a time; each of its days is a partition.
        cluster_column: rows with equal values lie together.
        loading: the table from which its rows come, in this load only.
    """

    name: TableName
    table: Table
    partition_column: str
    cluster_column: str
    loading: TableName

    @property
    def fields(self) -> list[dict[str, Any]]:
        """The columns, as BigQuery declares them."""
        fields: list[dict[str, Any]] = self.table.bigquery_schema()["fields"]
        return fields


def targets_of(name: TableName, captions: Table, failures: Table) -> tuple[Target, Target]:
    """Returns both tables of a load, with loading tables that no other load uses.

    Args:
        name: of the captions table.
        captions: the captions table with its carried columns.
        failures: the failures table with its carried columns.
    """
    failures_name = name.with_suffix("_failures")
    suffix = f"_loading_{uuid.uuid4().hex}"
    return (
        Target(name, captions, "captioned_at", "model_fingerprint", name.with_suffix(suffix)),
        Target(
            failures_name, failures, "failed_at", "error_type", failures_name.with_suffix(suffix)
        ),
    )


def statements(captions: Target, failures: Target) -> list[str]:
    """Returns the SQL that brings loaded rows into the final tables, in this order.

    Between two of them an image may be in both tables, but no row is missing. Parameter `@run_ids`
    holds the job's runs.
    """
    return [
        f"{_merge(captions, KEY)} {_insert(captions)}",
        f"{_merge(failures, ('uri',))} {_update(failures)} {_insert(failures)} "
        "WHEN NOT MATCHED BY SOURCE AND present.run_id IN UNNEST(@run_ids) THEN DELETE",
        f"DELETE FROM {failures.name.sql} WHERE uri IN (SELECT uri FROM {captions.loading.sql})",
    ]


def _merge(target: Target, key: Sequence[str]) -> str:
    same = " AND ".join(f"present.{name} = loaded.{name}" for name in key)
    return f"MERGE INTO {target.name.sql} AS present USING {target.loading.sql} AS loaded ON {same}"


def _columns(target: Target) -> list[str]:
    return [f"`{field['name']}`" for field in target.fields]


def _insert(target: Target) -> str:
    columns = _columns(target)
    values = ", ".join(f"loaded.{column}" for column in columns)
    return f"WHEN NOT MATCHED BY TARGET THEN INSERT ({', '.join(columns)}) VALUES ({values})"


def _update(target: Target) -> str:
    changes = ", ".join(f"{column} = loaded.{column}" for column in _columns(target))
    return f"WHEN MATCHED THEN UPDATE SET {changes}"
