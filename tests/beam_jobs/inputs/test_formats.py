import os

import pyarrow as pa
import pytest

from beam_jobs.inputs.carried import CarriedColumn
from beam_jobs.inputs.formats import InputSpec, format_of, parse_input
from model_lib.errors import ConfigError
from tests.beam_jobs.inputs.tables import job_config


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("photos", "images"),
        ("photos/", "images"),
        ("photo.JPG", "images"),
        ("photos/*.jpg", "images"),
        ("https://example.org/photo?file=table.csv", "images"),
        ("@list.txt", "text"),
        ("@gs://bucket/list.csv", "text"),
        ("table.csv", "csv"),
        ("gs://bucket/TABLE.CSV", "csv"),
        ("data/**.csv.gz", "csv"),
        ("table.tsv", "tsv"),
        ("table.tsv.gz", "tsv"),
        ("table.jsonl", "jsonl"),
        ("table.ndjson.gz", "jsonl"),
        ("data/*.parquet", "parquet"),
        ("s3://bucket/spark.parquet/", "parquet"),
        ("file:///data/table.pq", "parquet"),
        ("shards-{0..9}.tar", "webdataset"),
        ("bigquery://project.dataset.table", "bigquery"),
        ("bigquery:SELECT uri FROM `a.b.c`", "bigquery"),
    ],
)
def test_the_name_says_the_format(where, expected):
    assert format_of(where) == expected


@pytest.mark.parametrize("where", ["a.tar.gz", "A.TGZ", "gs://b/*.tar.zst", "a.tar.bz2", "a.txz"])
def test_compressed_archives_are_refused(where):
    for settings in ({}, {"input_format": "webdataset"}):
        with pytest.raises(ConfigError) as raised:
            parse_input(where, 0, job_config(**settings))
        assert str(raised.value) == (
            f"--input {where}: compressed archives are not read: an image inside one cannot be "
            "read by its position; decompress it to .tar"
        )


@pytest.mark.parametrize("where", ["table.csv.zst", "table.jsonl.bz2", "table.parquet.gz"])
def test_other_compressions_are_refused(where):
    with pytest.raises(ConfigError, match="this compression is not read; decompress it"):
        parse_input(where, 0, job_config())


def test_tables_over_http_are_refused():
    where = "https://example.org/table.csv?download=1"
    with pytest.raises(ConfigError, match="csv files are not read over http"):
        parse_input(where, 0, job_config())
    assert parse_input(where, 0, job_config(input_format="images")).format == "images"


def test_settings_reach_the_input():
    config = job_config(input_format="tsv", uri_column="url")
    assert parse_input("data.txt", 3, config) == InputSpec(
        where="data.txt", format="tsv", number=3, uri_column="url", base_folder=os.getcwd()
    )


def test_an_input_learns_what_to_carry_by_the_inputs_names():
    columns = [
        CarriedColumn("id", "arrow", "", nullable=True, arrow=pa.int64(), source="id"),
        CarriedColumn("input_score", "arrow", "", nullable=True, arrow=pa.bool_(), source="score"),
    ]
    spec = InputSpec("table.csv", "csv").with_carried(columns)
    assert spec == InputSpec(
        "table.csv", "csv", carried=("id", "score"), carried_types=(pa.int64(), pa.bool_())
    )
