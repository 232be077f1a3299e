import csv
import gzip
import json
import pickle
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_jobs import storage
from beam_jobs.inputs.carried import carried_columns
from beam_jobs.inputs.formats import parse_input
from beam_jobs.inputs.reading import ROWS_IN_PART, make_row, read_rows, split_input
from beam_jobs.inputs.rows import InputRow, Problem
from beam_jobs.inputs.tables import RawRow
from tests.beam_jobs.inputs.shards import tar
from tests.beam_jobs.inputs.tables import good, job_config, outcomes, planned, rows_of


def write_tables(folder: Path) -> None:
    """One table in each format, with rows `(uri, id)`."""
    rows = [("a.jpg", 1), ("b.jpg", 2)]
    for name, delimiter in (("t.csv", ","), ("t.tsv", "\t")):
        with open(folder / name, "w", newline="") as stream:
            csv.writer(stream, delimiter=delimiter).writerows([("uri", "id"), *rows])
    lines = [json.dumps({"uri": uri, "id": number}) for uri, number in rows]
    (folder / "t.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    pq.write_table(pa.table({"uri": ["a.jpg", "b.jpg"], "id": [1, 2]}), folder / "t.parquet")


@pytest.fixture
def tables(tmp_path) -> Path:
    write_tables(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl.gz", "t.parquet"])
def test_every_table_gives_the_same_rows(tables, name):
    assert rows_of(tables / name) == [
        InputRow("a.jpg", (1,), (0, 0)),
        InputRow("b.jpg", (2,), (0, 1)),
    ]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl.gz", "t.parquet"])
def test_tables_in_an_object_store(bucket, tables, name):
    storage.write_bytes(f"{bucket}/data/{name}", (tables / name).read_bytes())
    assert good(rows_of(f"{bucket}/data/{name}")) == [("a.jpg", 1), ("b.jpg", 2)]
    suffix = name.removeprefix("t")
    assert good(rows_of(f"{bucket}/**{suffix}")) == [("a.jpg", 1), ("b.jpg", 2)]


def test_images_carry_nulls_for_the_tables_columns(tables):
    (tables / "photo.jpg").write_bytes(b"x")
    inputs = (f"{tables}/photo.jpg", f"{tables}/t.csv", f"{tables}/none.jpg")
    config = job_config(*inputs)
    specs = [parse_input(where, at, config) for at, where in enumerate(inputs)]
    columns = carried_columns(specs)
    rows = [row for spec in specs for row in read_rows(spec.with_carried(columns))]
    assert rows == [
        InputRow(f"{tables}/photo.jpg", (None,), (0, 0)),
        InputRow("a.jpg", (1,), (1, 0)),
        InputRow("b.jpg", (2,), (1, 1)),
        InputRow(f"{tables}/none.jpg", (None,), (2, 0)),
    ]


def test_files_of_an_input_can_be_read_apart(tables):
    for at in range(3):
        tar(tables / f"{at}.tar", [(f"{at}{name}.jpg", b"x") for name in "ab"])
    spec = planned(f"{tables}/*.tar")
    parts = list(split_input(spec))
    assert [(part.where, part.part) for part in parts] == [
        (f"{tables}/{at}.tar", at) for at in range(3)
    ]
    rows = list(read_rows(spec))
    assert [row for part in parts for row in read_rows(part)] == rows
    assert [row.position for row in rows] == [
        (0, part * ROWS_IN_PART + at) for part in range(3) for at in range(2)
    ]
    assert [again for part in parts for again in split_input(part)] == parts


@pytest.mark.parametrize("where", ["photos", "@list.txt", "bigquery://a.b.c"])
def test_what_is_no_file_of_rows_is_not_split(where):
    spec = parse_input(where, 0, job_config())
    assert list(split_input(spec)) == [spec]


def test_a_bad_file_among_good_ones_is_one_problem(tables):
    pq.write_table(pa.table({"uri": ["c.jpg"]}), tables / "u.parquet")
    (tables / "u.parquet").write_bytes((tables / "u.parquet").read_bytes()[:-20])
    (tables / "v.parquet").write_bytes(b"<html>")
    (tables / "w.parquet").write_bytes(b"")
    assert outcomes(rows_of(f"{tables}/*.parquet"), tables) == [
        ("a.jpg", ""),
        ("b.jpg", ""),
        ("u.parquet#row=1", "DamagedInputError"),
        ("v.parquet#row=1", "DamagedInputError"),
        ("w.parquet#row=1", "DamagedInputError"),
    ]


def test_a_storage_that_fails_raises(tables, monkeypatch):
    spec = planned(tables / "t.parquet")

    def fail(address: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(storage, "open_read", fail)
    with pytest.raises(OSError, match="Input/output error"):
        list(read_rows(spec))


def test_a_row_without_a_uri_keeps_what_else_it_has():
    raw = RawRow(None, ["x"])
    row = make_row(raw, "t#row=1", (1, 2), [lambda value: value * 2])
    assert row == InputRow(
        "t#row=1", ("xx",), (1, 2), problem=Problem("MissingUriError", "the row has no URI")
    )


def test_workers_read_inputs(tables):
    (tables / "bad.csv").write_bytes(b"uri,id\n\xff,3\n")
    inputs = (f"{tables}/*.csv", f"{tables}/t.parquet")
    config = job_config(*inputs)
    specs = [parse_input(where, at, config) for at, where in enumerate(inputs)]
    columns = carried_columns(specs)
    specs = [spec.with_carried(columns) for spec in specs]
    expected = [row for spec in specs for row in read_rows(spec)]
    assert len(expected) == 5
    assert pickle.loads(pickle.dumps(specs)) == specs
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        rows = (
            pipeline
            | beam.Create(specs)
            | beam.FlatMap(split_input)
            | beam.Reshuffle()
            | beam.FlatMap(read_rows).with_output_types(InputRow)
            | "Spread" >> beam.Reshuffle()
        )
        assert_that(rows, equal_to(expected))
