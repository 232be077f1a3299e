from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_jobs import sources
from beam_jobs.counters import read_counts
from beam_jobs.inputs.formats import InputSpec
from beam_jobs.inputs.rows import InputRow, Problem
from beam_jobs.outputs import journal
from beam_jobs.outputs.earlier import look
from beam_jobs.records import FAILURES
from beam_jobs.sources import ListInputs, unpack
from tests.beam_jobs.outputs.parts import IDENTITY, commit, failed


@pytest.fixture
def table(tmp_path) -> str:
    """Six rows: five URIs, one of them twice; one row without any."""
    path = tmp_path / "table.csv"
    path.write_text("uri,number\nc.jpg,3\na.jpg,1\nc.jpg,7\n,8\nb.jpg,2\nd.jpg,4\n")
    return str(path)


def spec(where: str, number: int = 0, kind: str = "csv") -> InputSpec:
    import pyarrow as pa

    return InputSpec(where, kind, number, carried=("number",), carried_types=(pa.int64(),))


def listed(specs, expected, limit=None, **options):
    """Checks what `ListInputs` gives; returns the counters."""
    pipeline = beam.Pipeline(runner="FnApiRunner")
    assert_that(
        pipeline | ListInputs(specs, limit, **options) | beam.FlatMap(unpack), equal_to(expected)
    )
    result = pipeline.run()
    result.wait_until_finish()
    return read_counts(result)


def row(name: str, number: int, position: int) -> InputRow:
    return InputRow(f"{name}.jpg", (number,), (0, position))


def bad(table: str) -> InputRow:
    problem = Problem("MissingUriError", "column 'uri' is empty")
    return InputRow(f"{table}#row=4", (8,), (0, 3), problem=problem)


def test_each_uri_once_with_its_first_row(table):
    expected = {"a.jpg": 1, "b.jpg": 2, "c.jpg": 3, "d.jpg": 4, f"{table}#row=4": None}
    pipeline = beam.Pipeline(runner="FnApiRunner")
    rows = pipeline | ListInputs([spec(table), spec(table, 1)]) | beam.FlatMap(unpack)
    got = rows | beam.Map(lambda row: (row.uri, row.position[0], bool(row.problem)))
    assert_that(got, equal_to([(uri, 0, number is None) for uri, number in expected.items()]))
    numbers = rows | beam.Filter(lambda row: not row.problem) | beam.Map(lambda row: row.carried)
    assert_that(numbers, equal_to([(1,), (2,), (3,), (4,)]), label="numbers")
    result = pipeline.run()
    result.wait_until_finish()
    counts = read_counts(result)
    assert (counts.listed, counts.distinct, counts.selected, counts.bad_rows) == (12, 5, 5, 2)


def test_a_limit_takes_the_first_by_uri(tmp_path):
    (tmp_path / "list.txt").write_text("d.jpg\nb.jpg\nc.jpg\na.jpg\n")
    specs = [InputSpec(f"@{tmp_path}/list.txt", "text")]
    expected = [InputRow("a.jpg", position=(0, 3)), InputRow("b.jpg", position=(0, 1))]
    counts = listed(specs, expected, limit=2)
    assert (counts.distinct, counts.selected) == (4, 2)
    assert (
        listed(
            specs,
            [InputRow(f"{n}.jpg", position=(0, p)) for n, p in zip("dbca", range(4), strict=True)],
            limit=9,
        ).selected
        == 4
    )


def test_no_inputs_at_all(tmp_path):
    (tmp_path / "list.txt").write_text("# nothing\n")
    specs = [InputSpec(f"@{tmp_path}/list.txt", "text")]
    assert listed(specs, [], limit=2).listed == 0


@pytest.fixture
def output(tmp_path) -> str:
    """An interrupted run: captions of a and z; b failed for good, c in passing."""
    folder = str(tmp_path / "output")
    commit(folder, "r1", captions="az")
    rows = [failed("b", "r1"), {**failed("c", "r1"), "transient": True}]
    journal.commit(folder, FAILURES, "r1", rows)
    return folder


@pytest.mark.parametrize(
    ("choice", "names", "skipped", "retried"),
    [("transient", "cd", 2, 1), ("all", "bcd", 1, 2), ("none", "d", 3, 0)],
)
def test_what_earlier_runs_did_is_left_out(tmp_path, output, choice, names, skipped, retried):
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg\nc.jpg\nd.jpg\n")
    specs = [InputSpec(f"@{tmp_path}/list.txt", "text")]
    done = look(output, IDENTITY, recompute=False).done
    expected = [InputRow(f"{name}.jpg", position=(0, "abcd".index(name))) for name in names]
    counts = listed(specs, expected, done=done, retry_failures=choice)
    assert (counts.selected, counts.skipped, counts.retried) == (4, skipped, retried)
    assert counts.other_rows == 1


def test_a_row_beyond_the_limit_that_is_done_counts_as_another_inputs(tmp_path, output):
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg\nc.jpg\n")
    specs = [InputSpec(f"@{tmp_path}/list.txt", "text")]
    done = look(output, IDENTITY, recompute=False).done
    counts = listed(specs, [], limit=1, done=done)
    assert (counts.selected, counts.skipped, counts.other_rows) == (1, 1, 3)


def test_inputs_travel_in_lists(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "SPREAD_ROWS", 2)
    Path(tmp_path / "list.txt").write_text("".join(f"{n}.jpg\n" for n in range(7)))
    expected = [InputRow(f"{n}.jpg", position=(0, n)) for n in range(7)]
    listed([InputSpec(f"@{tmp_path}/list.txt", "text")], expected)
