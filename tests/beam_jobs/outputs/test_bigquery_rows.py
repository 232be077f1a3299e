import datetime
import decimal
import json
import math

import pyarrow as pa
import pytest

from beam_jobs.outputs.bigquery_rows import TableName, check_columns, differences, json_row
from beam_jobs.outputs.formats import json_lines
from beam_jobs.records import CAPTIONS, Column
from model_lib.errors import ConfigError

UTC = datetime.timezone.utc


def fields(**kinds: pa.DataType) -> list[dict]:
    columns = [Column(name, "arrow", "", nullable=True, arrow=kind) for name, kind in kinds.items()]
    return [column.bigquery_field() for column in columns]


def string(name: str) -> dict:
    return {"name": name, "type": "STRING", "mode": "NULLABLE"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("my-project:data.table", TableName("my-project", "data", "table")),
        ("my-project.data.table-1", TableName("my-project", "data", "table-1")),
        ("example.com:my-project:d.t", TableName("example.com:my-project", "d", "t")),
    ],
)
def test_names_are_read(text, name):
    assert TableName.parse(text) == name


def test_names_are_written_as_each_reader_takes_them():
    name = TableName("p", "d", "t").with_suffix("_failures")
    written = (str(name), name.sql, name.dataset_id)
    assert written == ("p:d.t_failures", "`p.d.t_failures`", "p.d")


@pytest.mark.parametrize("text", ["", "d.t", "p:d", "p:d.t$20260101", "p:d.t`; DROP", "P/d.t"])
def test_other_names_are_refused(text):
    with pytest.raises(ConfigError, match=r"expected PROJECT:DATASET\.TABLE"):
        TableName.parse(text)


def test_columns_that_bigquery_refuses_are_refused_early():
    check_columns(CAPTIONS.bigquery_schema()["fields"])
    for name in ("a b", "1st", "a.b", "_PARTITIONTIME", "x" * 301):
        with pytest.raises(ConfigError, match="letters, digits and underscores"):
            check_columns([string(name)])
    with pytest.raises(ConfigError, match="'uri' and 'URI' are the same to BigQuery"):
        check_columns([string("uri"), string("URI")])
    with pytest.raises(ConfigError, match="'p q'"):
        check_columns(fields(place=pa.struct({"p q": pa.int64()})))


def test_the_same_columns_under_other_type_names_do_not_differ():
    present = [
        {"name": "n", "type": "INT64"},
        {"name": "s", "type": "STRUCT", "fields": [{"name": "x", "type": "FLOAT64"}]},
    ]
    wanted = fields(s=pa.struct({"x": pa.float64()}), n=pa.int32())
    assert differences(present, wanted) == []
    required = [{**field, "mode": "REQUIRED"} for field in wanted]
    assert differences(present, required) == []


def test_differences_are_named():
    present = fields(a=pa.int64(), b=pa.string(), s=pa.struct({"x": pa.int64()}))
    wanted = fields(b=pa.list_(pa.string()), s=pa.struct({"x": pa.bool_()}), c=pa.int64())
    assert differences(present, wanted) == [
        "a is only in the table",
        "b is STRING in the table, repeated STRING in the rows",
        "c is not in the table",
        "s.x is INTEGER in the table, BOOLEAN in the rows",
    ]


KINDS = {
    "flag": pa.bool_(),
    "small": pa.int64(),
    "big": pa.int64(),
    "exact": pa.decimal128(20, 9),
    "raw": pa.binary(),
    "day": pa.date32(),
    "hour": pa.time64("us"),
    "local": pa.timestamp("us"),
    "instant": pa.timestamp("us", "UTC"),
    "words": pa.list_(pa.string()),
    "place": pa.struct({"x": pa.float64()}),
}
ROW = {
    "flag": True,
    "small": 2**53 - 1,
    "big": -(2**53),
    "exact": decimal.Decimal("1.500000000"),
    "raw": b"\x00\xff",
    "day": datetime.date(2026, 1, 2),
    "hour": datetime.time(3, 4, 5),
    "local": datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
    "instant": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "words": ["a", "b"],
    "place": {"x": 0.1},
}


def test_values_become_what_load_jobs_take():
    assert json_row(ROW, fields(**KINDS)) == {
        "flag": True,
        "small": 9007199254740991,
        "big": "-9007199254740992",
        "exact": "1.500000000",
        "raw": "AP8=",
        "day": "2026-01-02",
        "hour": "03:04:05.000000",
        "local": "2026-01-02T03:04:05.000006",
        "instant": "2026-01-02T03:04:05.000000+00:00",
        "words": ["a", "b"],
        "place": {"x": 0.1},
    }


def test_rows_read_from_json_lines_become_the_same_values():
    table = pa.Table.from_pylist([ROW], schema=pa.schema(list(KINDS.items())))
    [line] = json_lines(table)
    same = {"big": "-9007199254740992", "raw": "AP8=", "exact": "1.500000000"}
    read = json_row(json.loads(line), fields(**KINDS))
    assert {name: read[name] for name in same} == same
    assert read["instant"] == "2026-01-02T03:04:05+00:00"


def test_nulls_and_numbers_that_json_has_no_word_for():
    declared = fields(a=pa.float64(), b=pa.float64(), c=pa.float64(), d=pa.list_(pa.int64()))
    row = {"a": math.nan, "b": -math.inf, "c": None, "d": None}
    assert json_row(row, declared) == {"a": "NaN", "b": "-Infinity", "c": None, "d": []}
    with pytest.raises(ValueError, match="column d: a list holds a null"):
        json_row({**row, "d": [1, None]}, declared)
