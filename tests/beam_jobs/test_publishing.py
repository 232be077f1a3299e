import json

import pyarrow.parquet as pq
import pytest

from beam_jobs.caption_images import main
from beam_jobs.config import JobConfig
from beam_jobs.outputs import journal
from beam_jobs.outputs.earlier import look
from tests.beam_jobs.outputs.parts import commit


@pytest.fixture
def output(tmp_path) -> str:
    """Two interrupted runs with a row in common."""
    folder = str(tmp_path / "out")
    settings = JobConfig(input=("photos",), output=folder, no_report=True).to_dict()
    commit(folder, "r1", captions="ab", failures="c", settings=settings)
    commit(folder, "r2", captions="bc", failures="d", settings=settings)
    return folder


def uris(output: str, table: str) -> list[str]:
    return sorted(pq.read_table(f"{output}/{table}").column("uri").to_pylist())


def test_what_is_committed_becomes_visible_and_stays_committed(output, capsys):
    for _ in range(2):
        assert main(["publish", output]) == 0
        assert capsys.readouterr().out == f"3 captions, 1 failures in {output}\n"
        assert uris(output, "captions") == ["a.jpg", "b.jpg", "c.jpg"]
        assert uris(output, "failures") == ["d.jpg"]
    assert [note.run_id for note in journal.read_notes(output)] == ["r1", "r2"]
    with open(f"{output}/manifest.json") as stream:
        manifest = json.load(stream)
    assert manifest["counts"] == {"captions": 3, "failures": 1}
    assert [(run["run_id"], run["captions"], run["failures"]) for run in manifest["runs"]] == [
        ("r1", 2, 0),
        ("r2", 1, 1),
    ]


def test_rows_that_come_later_are_published_later(output, capsys):
    assert main(["publish", output]) == 0
    settings = journal.read_notes(output)[-1].settings
    commit(output, "r2", captions="e", settings=settings)
    assert main(["publish", output]) == 0
    assert uris(output, "captions") == ["a.jpg", "b.jpg", "c.jpg", "e.jpg"]


def test_rows_committed_after_a_publish_are_not_dropped_by_a_resume(output):
    assert main(["publish", output]) == 0
    note = journal.read_notes(output)[-1]
    commit(output, "r2", captions="e", settings=note.settings)
    earlier = look(output, note.identity, recompute=False)
    assert not earlier.drops_committed
    assert len([part for part in earlier.done if "/_committed/captions/r2-" in part.path]) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["publish", "{0}/nothing"], "holds nothing that is committed and not yet published"),
        (["publish"], "the following arguments are required: OUTPUT"),
        (["publish", "{0}", "--no_such_flag"], "unexpected argument '--no_such_flag'"),
    ],
)
def test_mistakes_end_with_2(tmp_path, capsys, words, message):
    assert main([word.format(tmp_path) for word in words]) == 2
    assert message in capsys.readouterr().err
