import dataclasses

import pyarrow as pa

from beam_jobs.outputs.bigquery_rows import TableName
from beam_jobs.outputs.bigquery_sql import statements, targets_of
from beam_jobs.records import CAPTIONS, FAILURES, Column, Table

NAME = TableName("p", "d", "t")
ORDER = Column("order", "arrow", "", nullable=True, arrow=pa.int64())


def only_uri(table: Table) -> Table:
    return dataclasses.replace(table, columns=table.columns[:1]).with_columns([ORDER])


def test_every_load_has_tables_of_its_own():
    first, second = (targets_of(NAME, CAPTIONS, FAILURES) for _ in range(2))
    assert [str(target.name) for target in first] == ["p:d.t", "p:d.t_failures"]
    loading = [str(target.loading) for target in (*first, *second)]
    assert len(set(loading)) == 4
    assert loading[1].startswith("p:d.t_failures_loading_")


def test_rows_that_are_there_stay_and_failures_follow_the_job():
    captions, failures = targets_of(NAME, only_uri(CAPTIONS), only_uri(FAILURES))
    loaded, failed = captions.loading.sql, failures.loading.sql
    assert statements(captions, failures) == [
        f"MERGE INTO `p.d.t` AS present USING {loaded} AS loaded ON present.uri = loaded.uri "
        "AND present.model_fingerprint = loaded.model_fingerprint "
        "AND present.decode_config = loaded.decode_config "
        "WHEN NOT MATCHED BY TARGET THEN INSERT (`uri`, `order`) "
        "VALUES (loaded.`uri`, loaded.`order`)",
        f"MERGE INTO `p.d.t_failures` AS present USING {failed} AS loaded "
        "ON present.uri = loaded.uri "
        "WHEN MATCHED THEN UPDATE SET `uri` = loaded.`uri`, `order` = loaded.`order` "
        "WHEN NOT MATCHED BY TARGET THEN INSERT (`uri`, `order`) "
        "VALUES (loaded.`uri`, loaded.`order`) "
        "WHEN NOT MATCHED BY SOURCE AND present.run_id IN UNNEST(@run_ids) THEN DELETE",
        f"DELETE FROM `p.d.t_failures` WHERE uri IN (SELECT uri FROM {loaded})",
    ]
