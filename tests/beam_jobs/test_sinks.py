import time
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs.outputs import journal
from beam_jobs.records import CAPTIONS, FAILURES
from beam_jobs.sinks import CommitFn, CommitRows
from tests.beam_jobs.outputs.parts import captioned, failed, note

TABLES = (CAPTIONS, FAILURES)


def tagged(captions: str, failures: str = "") -> list[tuple[str, dict]]:
    return [("captions", captioned(name, "r1")) for name in captions] + [
        ("failures", failed(name, "r1")) for name in failures
    ]


def committed_uris(output: Path, table: str = "captions") -> list[str]:
    return sorted(uri for part in committed(output, table) for uri in part)


def committed(output: Path, table: str = "captions") -> list[list[str]]:
    parts = sorted((output / "_committed" / table).glob("*.parquet"))
    return sorted(pq.read_table(path).column("uri").to_pylist() for path in parts)


@pytest.fixture
def do_fn(tmp_path):
    made = CommitFn(TABLES, str(tmp_path), "r1", 3, 60.0)
    made.setup()
    made.start_bundle()
    yield made
    made.teardown()


def test_a_pipeline_commits_every_row(tmp_path):
    journal.write_note(str(tmp_path), note("r1"))
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        rows = pipeline | beam.Create(tagged("abcdefg", "xyz"), reshuffle=False)
        _ = rows | CommitRows(TABLES, str(tmp_path), "r1", commit_every=4)
    assert committed_uris(tmp_path) == [f"{name}.jpg" for name in "abcdefg"]
    assert committed_uris(tmp_path, "failures") == ["x.jpg", "y.jpg", "z.jpg"]
    assert max(map(len, committed(tmp_path))) == 4
    table = pq.read_table(tmp_path / "_committed" / "captions")
    assert table.sort_by("uri").to_pylist()[0] == captioned("a", "r1")


def test_rows_of_both_tables_count_together(do_fn, tmp_path):
    for row in tagged("ab"):
        do_fn.process(row)
    assert committed(tmp_path) == []
    do_fn.process(tagged("", "x")[0])
    assert (committed(tmp_path), committed(tmp_path, "failures")) == (
        [["a.jpg", "b.jpg"]],
        [["x.jpg"]],
    )
    do_fn.process(tagged("c")[0])
    do_fn.finish_bundle()
    assert committed(tmp_path) == [["a.jpg", "b.jpg"], ["c.jpg"]]


def test_rows_that_waited_long_are_committed_though_no_other_comes(tmp_path):
    do_fn = CommitFn(TABLES, str(tmp_path), "r1", 1000, 0.05)
    do_fn.setup()
    do_fn.start_bundle()
    do_fn.process(tagged("a")[0])
    deadline_secs = time.monotonic() + 10
    while not committed(tmp_path) and time.monotonic() < deadline_secs:
        time.sleep(0.01)
    assert committed(tmp_path) == [["a.jpg"]]
    do_fn.finish_bundle()
    assert committed(tmp_path) == [["a.jpg"]]


def test_an_error_of_the_clock_fails_the_bundle(tmp_path):
    (tmp_path / "_committed").write_text("in the way")
    do_fn = CommitFn(TABLES, str(tmp_path), "r1", 1000, 0.01)
    do_fn.setup()
    do_fn.start_bundle()
    do_fn.process(tagged("a")[0])
    time.sleep(0.3)
    with pytest.raises(OSError, match="_committed"):
        do_fn.finish_bundle()


def test_a_bundle_that_is_tried_again_begins_with_no_rows(do_fn, tmp_path):
    do_fn.process(tagged("a")[0])
    do_fn.start_bundle()
    do_fn.process(tagged("a")[0])
    do_fn.finish_bundle()
    assert committed(tmp_path) == [["a.jpg"]]


def test_no_rows_no_file(do_fn, tmp_path):
    do_fn.finish_bundle()
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_does_not_fit_the_schema_is_an_error(do_fn):
    do_fn.process(("failures", {**failed("a", "r1"), "attempts": "many"}))
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        do_fn.finish_bundle()
