import dataclasses

import pyarrow.parquet as pq
import pytest

from beam_jobs.outputs import journal
from beam_jobs.outputs.journal import Identity
from beam_jobs.records import CAPTIONS, FAILURES
from model_lib.errors import ConfigError
from tests.beam_jobs.outputs.parts import captioned, commit, note


def test_a_committed_part_is_whole_and_named_after_its_run(tmp_path):
    commit(str(tmp_path), "r1", captions="ab")
    [part] = journal.committed_parts(str(tmp_path), CAPTIONS)
    assert part.run_id == "r1"
    assert part.path.startswith(f"{tmp_path}/_committed/captions/r1-")
    table = pq.read_table(part.path)
    assert table.to_pylist() == [captioned("a", "r1"), captioned("b", "r1")]
    assert table.schema.equals(CAPTIONS.arrow_schema())
    assert part.num_bytes == (tmp_path / part.path).stat().st_size
    assert journal.committed_parts(str(tmp_path), FAILURES) == []
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".parquet", ".json"}


def test_notes_come_back_oldest_first(tmp_path):
    for run_id in ("r2", "r1"):
        journal.write_note(str(tmp_path), note(run_id))
    assert journal.read_notes(str(tmp_path)) == [note("r1"), note("r2")]


def test_a_part_without_a_note_is_none_of_this_job(tmp_path):
    commit(str(tmp_path), "r1", captions="a")
    journal.commit(str(tmp_path), CAPTIONS, "stranger", [captioned("b", "stranger")])
    assert [part.run_id for part in journal.committed_parts(str(tmp_path), CAPTIONS)] == ["r1"]


@pytest.mark.parametrize("text", ["{", "[]", '{"run_id": "x"}', "{}"])
def test_a_damaged_note_is_named(tmp_path, text):
    path = tmp_path / "_committed" / "runs" / "r1.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"r1\.json: is no note of a run"):
        journal.read_notes(str(tmp_path))


def test_clearing_leaves_what_is_published(tmp_path):
    commit(str(tmp_path), "r1", captions="a")
    (tmp_path / ".staging").mkdir()
    (tmp_path / "captions").mkdir()
    journal.clear(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["captions"]


def test_identities_say_where_they_differ():
    mine = Identity("f1", "{}", "id int64")
    assert mine.differences(mine) == []
    other = dataclasses.replace(mine, model_fingerprint="f2", carried_columns="")
    assert mine.differences(other) == [
        "model_fingerprint: earlier runs f1, this one f2",
        "carried_columns: earlier runs id int64, this one none",
    ]
    assert mine.digest() == Identity("f1", "{}", "id int64").digest() != other.digest()
