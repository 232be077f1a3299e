import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs import storage
from beam_jobs.inputs.checking import check_input, first_columns
from beam_jobs.inputs.formats import parse_input
from model_lib.errors import ConfigError
from tests.beam_jobs.inputs.shards import tar
from tests.beam_jobs.inputs.tables import job_config


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a.png", "b.JPG", "deep/photo[1].jpg", "empty/a.txt", "tables/a.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def check(where: str, **settings) -> None:
    check_input(parse_input(where, 0, job_config(**settings)))


def refused(where: str, **settings) -> str:
    with pytest.raises(ConfigError) as raised:
        check(where, **settings)
    front = f"--input {where}: "
    assert str(raised.value).startswith(front)
    return str(raised.value).removeprefix(front)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{0}/nowhere", "there is no such folder or file"),
        ("{0}/nowhere/", "there is no such folder or file"),
        ("{0}/*.gif", "nothing matches; put the pattern in quotes"),
        ("{0}/*.csv", "nothing matches; put the pattern in quotes"),
        ("@{0}/nowhere.txt", "there is no such list"),
        ("{0}/nowhere.csv", "there is no such file or folder"),
        ("{0}/nowhere.tar", "there is no such file or folder"),
        ("{0}/empty", "the folder holds no image (.jpg"),
        ("{0}/empty/a.txt", "is no image; a list of images is given as @{0}/empty/a.txt"),
        ("nosuch://bucket/x", "cannot be looked up: Unable to get filesystem"),
        ("nosuch://bucket/x.parquet", "cannot be looked up: Unable to get filesystem"),
    ],
)
def test_an_input_that_names_nothing_is_refused(folder, where, message):
    assert refused(where.format(folder)).startswith(message.format(folder))


def test_a_folder_of_tables_needs_its_format(folder):
    message = refused(f"{folder}/tables")
    assert message.endswith("; it holds files for --input_format csv")
    assert refused(f"{folder}/tables", input_format="parquet") == (
        "the folder holds no parquet file (.parquet, .pq)"
    )


def test_inputs_that_name_something_are_accepted(folder):
    (folder / "list.txt").write_text("missing.jpg\n")
    names = ("", "/", "/a.png", "/*.png", "/deep/photo[1].jpg", "/missing.jpg", "/**.txt")
    for where in (*(f"{folder}{name}" for name in names), f"@{folder}/list.txt"):
        check(where)
    check("https://example.org/never-asked.jpg")
    check(f"{folder}/list.txt", input_format="text")


def tables(folder: Path) -> dict[str, str]:
    """Addresses of one good table of each format, by format."""
    pq.write_table(pa.table({"uri": ["a.jpg"], "id": [1]}), folder / "t.parquet")
    (folder / "t.csv").write_text("uri,id\n")
    (folder / "t.tsv").write_text("uri\tid\n")
    (folder / "t.jsonl").write_text(json.dumps({"uri": "a.jpg", "id": 1}))
    tar(folder / "t.tar", [("a.jpg", b"x")])
    return {kind: f"{folder}/t.{kind}" for kind in ("csv", "tsv", "jsonl", "parquet", "tar")}


def test_good_tables_are_accepted(folder):
    for kind, path in tables(folder).items():
        check(path)
        spec = parse_input(path, 0, job_config())
        assert first_columns(spec) == (["key"] if kind == "tar" else ["uri", "id"])
    check(f"{folder}", input_format="parquet")


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_a_table_without_the_uri_column_is_refused(folder, kind):
    path = tables(folder)[kind]
    assert refused(path, uri_column="url") == (
        f"{path}: there is no column 'url'; the columns are uri, id; --uri_column names the one "
        "that holds the image's URI"
    )


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", b"", "the file is empty; expected a header with the columns' names"),
        ("t.csv", b"\n\n", "the file is empty; expected a header with the columns' names"),
        ("t.csv", "uri,id\n".encode("utf-16"), "save the file as UTF-8"),
        ("t.csv", b"uri,uri\n", "column 'uri' is there more than once"),
        ("t.csv", b'"uri\n', "the header cannot be read: line 1: unexpected end of data"),
        ("t.csv.gz", b"uri\n", "is no csv file: Not a gzipped file"),
        ("t.jsonl", b"<html>", "there is no column 'uri'; the columns are none"),
        ("t.parquet", b"<html>", "is no parquet file: "),
        ("t.parquet", b"", "is no parquet file: "),
        ("t.tar", b"<html>" * 1000, "is no webdataset file: "),
        ("t.tar", b"", "is no webdataset file: empty file"),
        ("t.tar", gzip.compress(b"x" * 1000, mtime=0), "is no webdataset file: "),
    ],
    ids=lambda value: value if isinstance(value, str) else len(value),
)
def test_what_is_no_table_is_refused(folder, name, data, message):
    (folder / name).write_bytes(data)
    assert message in refused(f"{folder}/{name}")
    assert f"{folder}/{name}" in refused(f"{folder}/{name}")


def test_a_uri_column_that_is_no_text_is_refused(folder):
    pq.write_table(pa.table({"uri": [1]}), folder / "t.parquet")
    assert refused(f"{folder}/t.parquet") == (
        f"{folder}/t.parquet: column 'uri' is int64; expected text with URIs"
    )


def test_a_torn_table_is_left_to_the_run(folder):
    path = Path(tables(folder)["parquet"])
    path.write_bytes(path.read_bytes()[:-30])
    check(str(path))
    (folder / "t.csv.gz").write_bytes(gzip.compress(b"uri\n" + bytes(range(256)) * 100)[:20])
    check(f"{folder}/t.csv.gz")


def test_one_good_table_among_bad_ones_is_enough(folder):
    (folder / "a.parquet").write_bytes(b"<html>")
    assert "is no parquet file" in refused(f"{folder}/*.parquet")
    tables(folder)
    check(f"{folder}/*.parquet")


def test_inputs_in_an_object_store(bucket, folder):
    for name in ("t.csv", "t.tar"):
        path = tables(folder)[name[2:]]
        storage.write_bytes(f"{bucket}/data/{name}", Path(path).read_bytes())
        check(f"{bucket}/data/{name}")
    check(f"{bucket}/data", input_format="csv")
    assert refused(f"{bucket}/data") == "there is no such folder or file"
    assert refused(f"{bucket}/data/gone.csv") == "there is no such file or folder"
    assert refused(f"{bucket}/none/*.tar").startswith("nothing matches")
