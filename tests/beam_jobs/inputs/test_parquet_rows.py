import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs.inputs.parquet_rows import BATCH_ROWS
from beam_jobs.inputs.reading import read_rows
from beam_jobs.inputs.rows import InputRow, Problem
from model_lib.errors import ConfigError
from tests.beam_jobs.inputs.tables import good, outcomes, planned, rows_of, types_of

DAY = datetime.date(2020, 2, 29)
NOON = datetime.datetime(2020, 2, 29, 12, tzinfo=datetime.timezone.utc)


def table(folder, columns: dict, name: str = "t.parquet", **options) -> str:
    pq.write_table(pa.table(columns), folder / name, **options)
    return f"{folder}/{name}"


def test_the_types_are_kept(tmp_path):
    columns = {
        "id": pa.array([1, None], pa.int16()),
        "uri": pa.array(["a.jpg", " b.jpg"], pa.large_string()),
        "kind": pa.array(["cat", "dog"]).dictionary_encode(),
        "price": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
        "day": pa.array([DAY, None]),
        "at": pa.array([NOON, None], pa.timestamp("us", tz="UTC")),
        "ns": pa.array([1_582_977_600_000_000_001, None], pa.timestamp("ns")),
        "tags": pa.array([["x", None], None]),
        "box": pa.array([{"x": 1, "y": 0.5}, None]),
        "none": pa.nulls(2),
    }
    path = table(tmp_path, columns)
    assert types_of(planned(path)) == {
        "id": "int16",
        "kind": "string",
        "price": "decimal128(9, 2)",
        "day": "date32[day]",
        "at": "timestamp[us, tz=UTC]",
        "ns": "timestamp[ns]",
        "tags": "list<element: string>",
        "box": "struct<x: int64, y: double>",
        "none": "string",
    }
    ns = 1_582_977_600_000_000_001
    one = (1, "cat", Decimal("1.50"), DAY, NOON, ns, ["x", None], {"x": 1, "y": 0.5}, None)
    two = (None, "dog", *(None,) * 7)
    assert good(rows_of(path)) == [("a.jpg", *one), (" b.jpg", *two)]


def test_rows_of_many_batches_keep_their_order(tmp_path):
    count = 2 * BATCH_ROWS + 1
    uris = [f"{number}.jpg" for number in range(count)]
    path = table(tmp_path, {"uri": uris, "id": range(count)}, row_group_size=700)
    rows = rows_of(path)
    assert good(rows) == list(zip(uris, range(count), strict=True))
    assert [row.position for row in rows] == [(0, at) for at in range(count)]


def test_only_the_columns_that_are_needed(tmp_path):
    path = table(tmp_path, {"uri": ["a.jpg"], "id": [1], "b": [2], "c": [3]})
    assert good(rows_of(path, carry_columns=("c", "id"))) == [("a.jpg", 3, 1)]
    assert good(rows_of(path, carry_columns=())) == [("a.jpg",)]
    assert good(rows_of(path, carry_columns=("uri",))) == [("a.jpg", "a.jpg")]


def test_rows_without_a_uri(tmp_path):
    path = table(tmp_path, {"uri": ["a.jpg", None, "", "b.jpg"], "id": [1, 2, 3, 4]})
    rows = rows_of(path)
    assert outcomes(rows, tmp_path) == [
        ("a.jpg", ""),
        ("t.parquet#row=2", "MissingUriError"),
        ("t.parquet#row=3", "MissingUriError"),
        ("b.jpg", ""),
    ]
    assert [row.carried for row in rows] == [(1,), (2,), (3,), (4,)]


def test_text_that_is_not_utf_8(tmp_path):
    bad = pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), pa.py_buffer(b"a\xe9bc")
    )
    path = table(tmp_path, {"uri": bad, "note": ["x", "y"]})
    assert rows_of(path) == [
        InputRow(
            f"{path}#row=1", ("x",), (0, 0), problem=Problem("NotUtf8Error", r"not UTF-8: a\xe9")
        ),
        InputRow("bc", ("y",), (0, 1)),
    ]
    path = table(tmp_path, {"uri": ["x", "y"], "note": bad})
    assert outcomes(rows_of(path), tmp_path) == [("t.parquet#row=1", "NotUtf8Error"), ("y", "")]


def test_a_damaged_page_costs_the_rows_from_there(tmp_path):
    uris = [f"{number}.jpg" for number in range(3000)]
    path = table(tmp_path, {"uri": uris}, row_group_size=1000, use_dictionary=False)
    last = pq.ParquetFile(path).metadata.row_group(2).column(0)
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    at = last.data_page_offset
    data[at : at + last.total_compressed_size] = b"\xff" * last.total_compressed_size
    (tmp_path / "t.parquet").write_bytes(data)
    *rows, end = rows_of(path)
    assert good(rows) == [(uri,) for uri in uris[:2000]]
    assert end.uri == f"{path}#row=2001"
    assert end.problem.error_type == "DamagedInputError"
    assert end.problem.message.startswith("nothing can be read from here on: OSError: ")


def test_a_torn_file_is_one_problem(tmp_path):
    path = table(tmp_path, {"uri": ["a.jpg"] * 1000})
    data = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(data[:-10])
    [row] = rows_of(path)
    assert row.uri == f"{path}#row=1"
    assert row.problem.error_type == "DamagedInputError"
    assert "ArrowInvalid: Parquet magic bytes not found in footer" in row.problem.message


def test_a_file_that_lost_its_uri_column_is_one_problem(tmp_path):
    spec = planned(table(tmp_path, {"uri": ["a.jpg"], "id": [1]}))
    table(tmp_path, {"url": ["a.jpg"], "id": [1]})
    [row] = read_rows(spec)
    assert row.problem == Problem("BadRowError", "the file has no column 'uri'; it has url, id")
    table(tmp_path, {"uri": [5], "id": [1]})
    [row] = read_rows(spec)
    assert row.problem == Problem("BadRowError", "column 'uri' is int64; expected text with URIs")


def test_a_column_that_is_there_twice(tmp_path):
    columns = [pa.array(["a.jpg"]), pa.array([1]), pa.array([2])]
    pq.write_table(pa.table(columns, names=["uri", "id", "id"]), tmp_path / "t.parquet")
    with pytest.raises(ConfigError, match="column 'id' is there more than once"):
        planned(tmp_path / "t.parquet")
    assert good(rows_of(tmp_path / "t.parquet", carry_columns=())) == [("a.jpg",)]
