import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs.outputs import formats, install, journal
from beam_jobs.outputs.publish import Publication, committed_columns, publish, read_ahead, tables_of
from beam_jobs.records import CAPTIONS, FAILURES, carried_column
from tests.beam_jobs.outputs.parts import captioned, commit, failed


def published(output, name="p1", **changes):
    return publish(Publication(str(output), name, CAPTIONS, FAILURES, **changes))


def uris(output, table="captions"):
    folder = output / table
    return sorted(pq.read_table(folder).column("uri").to_pylist()) if folder.exists() else []


def test_each_uri_has_one_row_whatever_was_committed_twice(tmp_path):
    output = str(tmp_path)
    commit(output, "r1", captions="ab", failures="cdx")
    commit(output, "r1", captions="ba")
    commit(output, "r2", captions="ac", failures="dby")
    state = published(tmp_path)
    rows = pq.read_table(tmp_path / "captions").sort_by("uri").to_pylist()
    assert rows == [captioned("a", "r1"), captioned("b", "r1"), captioned("c", "r2")]
    rows = pq.read_table(tmp_path / "failures").sort_by("uri").to_pylist()
    assert rows == [failed("d", "r2"), failed("x", "r1"), failed("y", "r2")]
    assert state.captions.rows_by_run == {"r1": 2, "r2": 1}
    assert state.failures.rows_by_run == {"r1": 1, "r2": 2}
    assert (state.captions.num_rows, state.captions.num_files) == (3, 1)
    [path] = (tmp_path / "captions").iterdir()
    assert re.fullmatch(r"p1-\w{8}-00000\.parquet", path.name)
    assert state.captions.num_bytes == path.stat().st_size


def test_publishing_again_changes_nothing(tmp_path):
    commit(str(tmp_path), "r1", captions="ab", failures="c")
    published(tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "captions").iterdir()}
    state = published(tmp_path, "p2")
    assert {path.name: path.read_bytes() for path in (tmp_path / "captions").iterdir()} == before
    assert (state.captions.num_rows, state.failures.num_rows) == (2, 1)


def test_publishing_more_under_the_same_name_keeps_what_was_published(tmp_path):
    commit(str(tmp_path), "r1", captions="ab")
    published(tmp_path)
    commit(str(tmp_path), "r1", captions="c")
    assert published(tmp_path).captions.num_rows == 3
    assert uris(tmp_path) == ["a.jpg", "b.jpg", "c.jpg"]


def test_new_captions_come_beside_old_ones_and_failures_are_replaced(tmp_path):
    output = str(tmp_path)
    commit(output, "r1", captions="a", failures="bc")
    published(tmp_path)
    journal.clear(output)
    commit(output, "r2", captions="b", failures="c")
    state = published(tmp_path, "p2")
    assert uris(tmp_path) == ["a.jpg", "b.jpg"]
    names = sorted(path.name.split("-")[0] for path in (tmp_path / "captions").iterdir())
    assert names == ["p1", "p2"]
    assert pq.read_table(tmp_path / "failures").to_pylist() == [failed("c", "r2")]
    assert state.captions.rows_by_run == {"r1": 1, "r2": 1}


def test_a_table_that_became_empty_is_gone(tmp_path):
    commit(str(tmp_path), "r1", failures="a")
    published(tmp_path)
    commit(str(tmp_path), "r2", captions="a")
    state = published(tmp_path, "p2")
    assert not (tmp_path / "failures").exists()
    assert (state.captions.num_rows, state.failures.num_rows) == (1, 0)


def test_what_was_computed_anew_replaces_the_old_table(tmp_path):
    commit(str(tmp_path), "r1", captions="abc")
    published(tmp_path)
    journal.clear(str(tmp_path))
    commit(str(tmp_path), "r2", captions="ab")
    published(tmp_path, "p2", keeps_published=False)
    assert pq.read_table(tmp_path / "captions").column("run_id").to_pylist() == ["r2", "r2"]


def test_nothing_is_left_beside_the_tables(tmp_path):
    commit(str(tmp_path), "r1", captions="a", failures="b")
    published(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "captions",
        "failures",
        "_committed",
        ".staging",
    }
    assert list((tmp_path / ".staging").iterdir()) == []


def test_many_parts_become_files_of_a_good_size(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "ROWS_PER_FILE", 5)
    monkeypatch.setattr(formats, "ROWS_PER_GROUP", 2)
    for number in range(12):
        commit(str(tmp_path), f"r{number:02d}", captions="abcdefghijkl"[number])
    state = published(tmp_path)
    files = sorted((tmp_path / "captions").iterdir())
    assert [pq.read_metadata(path).num_rows for path in files] == [6, 6]
    assert pq.read_metadata(files[0]).row_group(0).column(0).compression == "ZSTD"
    assert state.captions.num_files == 2


def test_json_lines_hold_the_same_rows(tmp_path):
    commit(str(tmp_path), "r1", captions="ab", failures="c")
    state = published(tmp_path, output_format="jsonl")
    [path] = (tmp_path / "captions").iterdir()
    assert re.fullmatch(r"p1-\w{8}-00000\.jsonl", path.name)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    expected = {**captioned("a", "r1"), "captioned_at": "2025-11-23T12:00:00+00:00"}
    assert [row["uri"] for row in rows] == ["a.jpg", "b.jpg"]
    assert rows[0] == expected
    assert state.captions.num_files == 1


def test_carried_columns_are_known_from_what_is_committed(tmp_path):
    output = str(tmp_path)
    carried = (carried_column(pa.field("id", pa.int32())),)
    captions, failures = tables_of(carried)
    commit(output, "r1")
    assert committed_columns(output) == ()
    journal.commit(output, captions, "r1", [{**captioned("a", "r1"), "id": 7}])
    assert committed_columns(output) == carried
    publish(Publication(output, "p1", captions, failures))
    assert pq.read_table(tmp_path / "captions").column("id").to_pylist() == [7]


def test_a_publish_that_cannot_write_takes_nothing_away(tmp_path, monkeypatch):
    commit(str(tmp_path), "r1", captions="ab")
    published(tmp_path)
    commit(str(tmp_path), "r2", captions="cd")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install, "_sync", full)
    with pytest.raises(OSError, match="No space"):
        published(tmp_path, "p2")
    assert uris(tmp_path) == ["a.jpg", "b.jpg"]
    monkeypatch.undo()
    published(tmp_path, "p3")
    assert uris(tmp_path) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_reading_ahead_keeps_the_order():
    assert list(read_ahead(str, range(30), 4)) == [str(number) for number in range(30)]
