import datetime

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_jobs import sinks
from beam_jobs.records import FAILURES, Column, Table
from beam_jobs.sinks import Part, StageRows, WriteTable, list_parts

NOON = datetime.datetime(2026, 1, 2, 12, 0, 0, 5, tzinfo=datetime.timezone.utc)


def failure_row(number: int) -> dict[str, object]:
    return {
        "uri": f"{number:03d}.jpg",
        "stage": "read",
        "error_type": "FileNotFoundError",
        "error_message": "",
        "attempts": 1,
        "run_id": "r1",
        "failed_at": NOON,
    }


def write(output, rows, table=FAILURES, **limits) -> None:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        parts = (
            pipeline
            | beam.Create(rows, reshuffle=False)
            | WriteTable(table, str(output), "r1", **limits)
        )
        folder = str(output / table.name)
        inside = parts | beam.Map(lambda part: part.path.startswith(folder + "/")) | beam.Distinct()
        assert_that(inside, equal_to([True] if rows else []))


def test_every_row_is_written_once_into_whole_files(tmp_path):
    rows = [failure_row(number) for number in range(25)]
    write(tmp_path, rows, max_rows=10)
    files = sorted((tmp_path / "failures").iterdir())
    assert sorted(pq.read_metadata(path).num_rows for path in files) == [5, 10, 10]
    table = pq.read_table(tmp_path / "failures")
    assert table.sort_by("uri").to_pylist() == rows
    assert table.schema.equals(FAILURES.arrow_schema())
    for path in files:
        group = pq.read_metadata(path).row_group(0)
        assert pq.read_metadata(path).num_row_groups == 1
        assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}


def test_a_file_is_closed_when_its_time_is_up(tmp_path):
    write(tmp_path, [failure_row(number) for number in range(3)], max_secs=0.0)
    assert [part.num_rows for part in list_parts(str(tmp_path), FAILURES)] == [1, 1, 1]


def test_no_rows_no_file(tmp_path):
    write(tmp_path, [])
    assert list(tmp_path.rglob("*.parquet")) == []


def test_columns_of_nulls_keep_their_types(tmp_path):
    table = Table(
        "t",
        (
            Column("uri", "string", "", nullable=True),
            Column("tags", "int64", "", repeated=True, nullable=True),
            Column("at", "timestamp", "", nullable=True),
        ),
    )
    write(tmp_path, [{"uri": None, "tags": None, "at": None}], table)
    [path] = (tmp_path / "t").iterdir()
    assert pq.read_schema(path).types == [
        pa.string(),
        pa.list_(pa.field("element", pa.int64(), nullable=False)),
        pa.timestamp("us", tz="UTC"),
    ]


def test_a_bundle_that_is_tried_again_doubles_no_row(tmp_path):
    staging = str(tmp_path / sinks.STAGING / "r1")
    first = StageRows(FAILURES, staging, 2, 60.0)
    first.start_bundle()
    lost = [part for number in range(3) for part in first.process(failure_row(number))]
    assert [part.num_rows for part in lost] == [2]
    write(tmp_path, [failure_row(number) for number in range(3)])
    assert pq.read_table(tmp_path / "failures").num_rows == 3
    assert len(list((tmp_path / sinks.STAGING).rglob("*.parquet"))) == 1


def test_parts_are_listed_with_the_rows_they_hold_and_deleted(tmp_path):
    assert list_parts(str(tmp_path), FAILURES) == []
    write(tmp_path, [failure_row(number) for number in range(3)])
    (tmp_path / "failures" / "notes.txt").write_text("mine")
    [path] = (tmp_path / "failures").glob("*.parquet")
    assert list_parts(str(tmp_path), FAILURES) == [Part(str(path), 3, path.stat().st_size)]
    sinks.delete_parts(str(tmp_path), FAILURES)
    assert [path.name for path in (tmp_path / "failures").iterdir()] == ["notes.txt"]


def test_a_row_that_does_not_fit_the_schema_is_an_error():
    stage = StageRows(FAILURES, "/nowhere", 1, 60.0)
    stage.start_bundle()
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        list(stage.process({**failure_row(1), "attempts": "many"}))
