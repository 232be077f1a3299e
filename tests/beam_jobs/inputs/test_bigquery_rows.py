import datetime
import decimal
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.inputs import bigquery_rows
from beam_jobs.inputs.bigquery_rows import Source, parse_source
from beam_jobs.inputs.checking import check_input
from beam_jobs.inputs.formats import InputSpec, parse_input
from beam_jobs.inputs.rows import InputRow
from model_lib.errors import ConfigError
from tests.beam_jobs.inputs.tables import good, job_config, outcomes, planned, types_of

UTC = datetime.timezone.utc
COLUMNS = (
    "uri STRING, n INT64, x FLOAT64, ok BOOL, day DATE, hour TIME, local DATETIME, "
    "instant TIMESTAMP, price NUMERIC, raw BYTES, tags ARRAY<STRING>, place STRUCT<a INT64>"
)
TYPES = {
    "n": "int64",
    "x": "double",
    "ok": "bool",
    "day": "date32[day]",
    "hour": "time64[us]",
    "local": "timestamp[us]",
    "instant": "timestamp[us, tz=UTC]",
    "price": "decimal128(38, 9)",
    "raw": "binary",
    "tags": "list<item: string>",
    "place": "struct<a: int64>",
}
VALUES = (
    9007199254740993,
    0.1,
    True,
    datetime.date(2026, 1, 2),
    datetime.time(3, 4, 5, 6),
    datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
    datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    decimal.Decimal("12.34"),
    b"x",
    ["p", "q"],
    {"a": 1},
)


@pytest.fixture
def photos(bigquery_dataset) -> str:
    """Name of a table of two good rows and two without a URI."""
    bigquery_dataset.query(f"CREATE TABLE photos ({COLUMNS})")
    bigquery_dataset.query(
        "INSERT INTO photos VALUES ('a', 9007199254740993, 0.1, TRUE, DATE '2026-01-02', "
        "TIME '03:04:05.000006', DATETIME '2026-01-02 03:04:05.000006', "
        "TIMESTAMP '2026-01-02 03:04:05.000006+00', NUMERIC '12.34', b'x', ['p', 'q'], STRUCT(1))"
    )
    nulls = ", ".join(["NULL"] * 8)
    for uri, number in (("'b'", 2), ("NULL", 3), ("''", 4)):
        bigquery_dataset.query(f"INSERT INTO photos VALUES ({uri}, {number}, {nulls}, [], NULL)")
    return f"test.{bigquery_dataset.name}.photos"


def read(spec: InputSpec) -> list[InputRow]:
    """The rows of a pipeline that reads the input."""
    found: list[InputRow] = []
    _found.append(found)
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", "--project=test"])) as run:
        _ = run | bigquery_rows.read_table(spec) | beam.Map(_keep)
    return sorted(_found.pop())


_found: list[list[InputRow]] = []


def _keep(row: InputRow) -> None:
    # The runner is in this process.
    _found[-1].append(row)


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("bigquery://p.d.t", Source("p", "d.t", None)),
        ("bigquery://example.com:p.d.t", Source("example.com:p", "d.t", None)),
        ("p:d.t", Source("p", "d.t", None)),
        ("bigquery:SELECT uri FROM `p.d.t`", Source(None, None, "SELECT uri FROM `p.d.t`")),
    ],
)
def test_inputs_name_tables_and_queries(where, source):
    assert parse_source(where) == source


def test_an_input_that_names_neither_is_refused():
    with pytest.raises(ConfigError, match="no table or query"):
        parse_source("bigquery://d.t")


def test_a_table_is_read_with_its_types(photos):
    spec = planned(f"bigquery://{photos}")
    bigquery_rows.check_uri_column(spec)
    assert types_of(spec) == TYPES
    rows = read(spec)
    assert good([row for row in rows if row.problem is None]) == [
        ("a", *VALUES),
        ("b", 2, *[None] * 8, [], None),
    ]
    assert {row.position for row in rows} == {(0, 0)}


def test_rows_without_a_uri_are_named_after_their_content(photos):
    spec = planned(f"bigquery://{photos}", carry_columns=("n",))
    bad = [row for row in read(spec) if row.problem is not None]
    assert sorted(row.carried for row in bad) == [(3,), (4,)]
    assert {error for _, error in outcomes(bad)} == {"MissingUriError"}
    assert len({row.uri for row in bad}) == 2
    assert all(row.uri.startswith(f"bigquery://{photos}#row=") for row in bad)
    assert [row for row in read(spec) if row.problem is not None] == bad


def test_a_query_is_read(photos):
    where = f"bigquery:SELECT CONCAT('gs://', uri) AS image, n + 1 AS m FROM `{photos}` WHERE x > 0"
    spec = planned(where, uri_column="image")
    bigquery_rows.check_uri_column(spec)
    assert types_of(spec) == {"m": "int64"}
    assert good(read(spec)) == [("gs://a", 9007199254740994)]


def test_an_input_may_be_read_without_a_pipeline(photos):
    table = planned(f"bigquery://{photos}", carry_columns=("n",))
    rows = sorted(bigquery_rows.read_here(table))
    assert {row.problem.error_type for row in rows[2:] if row.problem} == {"MissingUriError"}
    assert rows[:2] == read(table)[:2]
    query = planned(f"bigquery:SELECT uri, n FROM `{photos}` WHERE uri != ''")
    assert good(sorted(bigquery_rows.read_here(query))) == [("a", VALUES[0]), ("b", 2)]


def spec_of(where: str, **settings: Any) -> InputSpec:
    return parse_input(where, 0, job_config(**settings))


def test_columns_are_looked_at_before_any_work(photos):
    table = f"bigquery://{photos}"
    check_input(spec_of(table))
    assert bigquery_rows.column_names(spec_of(table)) == ["uri", *TYPES]
    assert bigquery_rows.column_types(spec_of(table), ["day"]) == {"day": pa.date32()}
    for column, what in (("image", "image"), ("n", r"column 'n' is INT.*; expected STRING")):
        with pytest.raises(ConfigError, match=what):
            check_input(spec_of(table, uri_column=column))
    for where in (f"{table}_gone", f"bigquery:SELECT uri FROM `{photos}_gone`"):
        with pytest.raises(ConfigError, match=r"--input bigquery:.*photos_gone"):
            check_input(spec_of(where))
