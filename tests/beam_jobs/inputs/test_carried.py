import datetime
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs.inputs.carried import CarriedColumn, carried_columns
from beam_jobs.inputs.formats import parse_input
from beam_jobs.inputs.reading import read_rows
from beam_jobs.records import CAPTIONS
from model_lib.errors import ConfigError
from tests.beam_jobs.inputs.shards import tar
from tests.beam_jobs.inputs.tables import job_config


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parquet(name: str, **columns) -> str:
    pq.write_table(pa.table({"uri": ["p.jpg"], **columns}), name)
    return name


def text(folder, name: str, content: str) -> str:
    (folder / name).write_text(content)
    return name


def columns_of(*inputs: str, names=None) -> list[tuple[str, str, str]]:
    specs = [parse_input(where, at, job_config()) for at, where in enumerate(inputs)]
    return [
        (column.name, column.source, str(column.arrow)) for column in carried_columns(specs, names)
    ]


def values_of(*inputs: str) -> list[tuple]:
    specs = [parse_input(where, at, job_config()) for at, where in enumerate(inputs)]
    columns = carried_columns(specs)
    rows = [row for spec in specs for row in read_rows(spec.with_carried(columns))]
    assert [row.problem for row in rows if row.problem] == []
    schema = CAPTIONS.with_columns(columns).arrow_schema()
    names = [column.name for column in columns]
    table = pa.Table.from_pylist(
        [dict(zip(names, row.carried, strict=True)) for row in rows],
        pa.schema([schema.field(name) for name in names]),
    )
    table.validate(full=True)
    return [tuple(row.values()) for row in table.to_pylist()]


def test_a_column_and_its_declaration(folder):
    text(folder, "t.csv", "uri,id\na,1\n")
    [column] = carried_columns([parse_input("t.csv", 0, job_config())])
    assert column == CarriedColumn(
        "id", "arrow", "carried from the input", nullable=True, arrow=pa.int64(), source="id"
    )
    assert column.arrow_field() == pa.field("id", pa.int64())
    assert column.bigquery_field() == {
        "name": "id",
        "type": "INTEGER",
        "mode": "NULLABLE",
        "description": "carried from the input",
    }


def test_inputs_are_united_by_name_and_missing_values_are_null(folder):
    day = datetime.date(2020, 1, 1)
    inputs = (
        text(folder, "a.csv", "uri,n,tag,day\na,1,x,\n"),
        text(folder, "b.jsonl", json.dumps({"uri": "b", "n": 0.5, "tags": ["y"]})),
        parquet("c.parquet", n=pa.array([2], pa.int8()), day=pa.array([day])),
    )
    assert columns_of(*inputs) == [
        ("n", "n", "double"),
        ("tag", "tag", "string"),
        ("day", "day", "date32[day]"),
        ("tags", "tags", "list<item: string>"),
    ]
    assert values_of(*inputs) == [
        (1.0, "x", None, None),
        (0.5, None, None, ["y"]),
        (2.0, None, day, None),
    ]


def test_types_that_do_not_go_together(folder):
    text(folder, "a.csv", "uri,id\na,007\n")
    parquet("b.parquet", id=[7])
    with pytest.raises(ConfigError) as raised:
        columns_of("a.csv", "b.parquet")
    assert str(raised.value) == (
        "column 'id' is string in a.csv, but int64 in b.parquet; make the types equal, or leave "
        "it out with --carry_columns"
    )
    assert columns_of("a.csv", "b.parquet", names=()) == []


def test_files_of_one_input_are_united_too(folder):
    text(folder, "a.csv", "uri,id\na,7\n")
    text(folder, "b.csv", "uri,id,more\nb,x,1\n")
    assert columns_of("*.csv") == [("id", "id", "string"), ("more", "more", "int64")]
    assert values_of("*.csv") == [("7", None), ("x", 1)]
    parquet("c.parquet", id=[1])
    parquet("d.parquet", id=["x"])
    with pytest.raises(ConfigError, match=r"column 'id' is int64 in c.parquet, but string in d"):
        columns_of("*.parquet")


def test_named_columns_in_the_order_they_are_named(folder):
    text(folder, "a.csv", "uri,id,tag\na,1,x\n")
    assert columns_of("a.csv", names=("tag", "id", "tag")) == [
        ("tag", "tag", "string"),
        ("id", "id", "int64"),
    ]
    assert columns_of("a.csv", names=("uri",)) == [("input_uri", "uri", "string")]
    with pytest.raises(ConfigError) as raised:
        columns_of("a.csv", names=("tga",))
    assert str(raised.value) == (
        "--carry_columns tga: no input has such a column; did you mean 'tag'? they have uri, id, "
        "tag"
    )
    with pytest.raises(ConfigError, match="no input has such a column; they have none"):
        columns_of("photo.jpg", names=("id",))


def test_names_of_our_own_columns_are_kept_free(folder):
    text(folder, "a.csv", "uri,Caption,attempts,input_attempts,id\na,1,2,3,4\n")
    assert columns_of("a.csv") == [
        ("input_Caption", "Caption", "int64"),
        ("input_input_attempts", "attempts", "int64"),
        ("input_attempts", "input_attempts", "int64"),
        ("id", "id", "int64"),
    ]
    assert values_of("a.csv") == [(1, 2, 3, 4)]
    [column, *_] = carried_columns([parse_input("a.csv", 0, job_config())])
    assert column.description == "carried from the input, there Caption"


def test_shards_carry_their_key(folder):
    tar(folder / "s.tar", [("a.jpg", b"x")])
    assert columns_of("s.tar") == [("key", "key", "string")]
    assert columns_of("s.tar", "photo.jpg", "@list.txt", names=("key",)) == [
        ("key", "key", "string")
    ]
    assert values_of("s.tar") == [("a",)]


def test_nothing_but_nulls_is_text_unless_another_input_says_more(folder):
    text(folder, "a.csv", "uri,x\na,\n")
    parquet("b.parquet", x=pa.array([1], pa.int16()))
    parquet("c.parquet", x=pa.nulls(1))
    assert columns_of("a.csv") == columns_of("c.parquet") == [("x", "x", "string")]
    assert columns_of("a.csv", "b.parquet", "c.parquet") == [("x", "x", "int16")]
    assert values_of("a.csv", "b.parquet", "c.parquet") == [(None,), (1,), (None,)]


def test_a_table_that_cannot_be_read_is_refused(folder):
    with pytest.raises(ConfigError, match=r"^--input nosuch://b/t\.csv: cannot be read: Unable to"):
        columns_of("nosuch://b/t.csv")
