import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs import storage
from beam_jobs.outputs.formats import json_lines
from beam_jobs.records import CAPTIONS, FAILURES
from beam_jobs.report.tables import TableError, read_batches, read_file, table_files
from tests.beam_jobs.run_folder import NOON, caption_row, failure_row, write_tables

COLUMNS = tuple(column.name for column in CAPTIONS.columns)
ROWS = [caption_row(f"{name}.jpg", score=-float(at)) for at, name in enumerate("abcde")]


def write_json_lines(folder, rows, table=CAPTIONS) -> str:
    (folder / table.name).mkdir(parents=True)
    lines = json_lines(pa.Table.from_pylist(rows, schema=table.arrow_schema()))
    (folder / table.name / "part-0.jsonl").write_bytes(b"".join(lines))
    return str(folder)


def rows_of(output, columns=COLUMNS, table=CAPTIONS, **options):
    batches = list(read_batches(output, table, columns, **options))
    return [row for batch in batches for row in batch.to_pylist()]


def test_both_formats_give_the_same_rows(tmp_path):
    parquet = write_tables(tmp_path / "a", ROWS, num_files=1)
    lines = write_json_lines(tmp_path / "b", ROWS)
    assert rows_of(parquet) == ROWS == rows_of(lines)
    assert rows_of(lines)[0]["captioned_at"] == NOON


@pytest.mark.parametrize("write", [write_tables, write_json_lines])
def test_batches_are_bounded_and_hold_the_columns_wanted(tmp_path, write):
    output = write(tmp_path, ROWS)
    batches = list(read_batches(output, CAPTIONS, ("score", "uri"), batch_rows=2))
    assert max(batch.num_rows for batch in batches) == 2
    assert {tuple(batch.schema.names) for batch in batches} == {("score", "uri")}
    assert sorted(row["uri"] for batch in batches for row in batch.to_pylist()) == [
        row["uri"] for row in ROWS
    ]


def test_files_are_read_by_name_and_others_left_alone(tmp_path):
    write_tables(tmp_path, ROWS)
    (tmp_path / "captions" / "notes.txt").write_text("mine")
    names = [path.rsplit("/", 1)[-1] for path in table_files(str(tmp_path), CAPTIONS)]
    assert names == ["part-0.parquet", "part-1.parquet"]
    assert table_files(str(tmp_path), FAILURES) == []


def test_a_column_that_an_older_table_lacks_is_null(tmp_path):
    rows = [failure_row("a")]
    schema = FAILURES.arrow_schema()
    at = schema.get_field_index("transient")
    table = pa.Table.from_pylist(rows, schema=schema).remove_column(at)
    pq.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "b.jsonl").write_text(json.dumps({"uri": "a", "stage": "decode"}) + "\n\n")
    for name in ("a.parquet", "b.jsonl"):
        [batch] = read_file(f"{tmp_path}/{name}", FAILURES, ("transient", "stage"))
        assert batch.to_pylist() == [{"transient": None, "stage": "decode"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.parquet", b"PAR1 not really PAR1"),
        ("x.jsonl", b'{"uri": "a"'),
        ("x.jsonl", b"[1]\n"),
        ("x.jsonl", b'{"caption": "no uri"}\n'),
        ("x.jsonl", b'{"uri": "a", "score": "high"}\n'),
        ("x.jsonl", b"\xff\n"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=f"{tmp_path}/{name}: damaged, or no table"):
        list(read_file(f"{tmp_path}/{name}", CAPTIONS, ("uri", "score")))


def test_a_parquet_file_of_something_else_is_refused(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(TableError, match="it has no column uri"):
        list(read_file(f"{tmp_path}/x.parquet", CAPTIONS, ("uri",)))


def test_tables_in_a_bucket_are_read(bucket, tmp_path):
    write_tables(tmp_path, ROWS, num_files=1)
    data = (tmp_path / "captions" / "part-0.parquet").read_bytes()
    storage.write_bytes(f"{bucket}/out/captions/part-0.parquet", data)
    assert rows_of(f"{bucket}/out") == ROWS
