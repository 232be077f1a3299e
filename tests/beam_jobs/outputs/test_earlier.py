import dataclasses
import json

import pytest

from beam_jobs.outputs import journal
from beam_jobs.outputs.earlier import Earlier, check_empty, look, read_manifest, run_entry, runs_in
from beam_jobs.outputs.publish import Publication, publish
from beam_jobs.records import CAPTIONS, FAILURES
from model_lib.errors import ConfigError
from tests.beam_jobs.outputs.parts import IDENTITY, commit, note

OTHER = dataclasses.replace(IDENTITY, decode='{"method":"greedy"}')


def finish(output, run_id, identity=IDENTITY, **changes) -> None:
    """Publishes what is committed and writes the manifest that says so."""
    publish(Publication(str(output), run_id, CAPTIONS, FAILURES, **changes))
    runs = [run_entry(note(run_id), "2026-01-02T04:00:00+00:00")]
    manifest = {"run_id": run_id, "identity": dataclasses.asdict(identity), "runs": runs}
    manifest["complete"] = True
    (output / "manifest.json").write_text(json.dumps(manifest))


def done_files(earlier: Earlier, output) -> list[str]:
    return sorted(part.path.removeprefix(f"{output}/").split("-")[0] for part in earlier.done)


def test_an_empty_folder_is_a_fresh_start(tmp_path):
    assert look(str(tmp_path / "new"), IDENTITY, recompute=False) == Earlier()
    check_empty(str(tmp_path / "new"))


def test_an_interrupted_run_is_gone_on_from(tmp_path):
    commit(str(tmp_path), "r1", captions="a", failures="b")
    earlier = look(str(tmp_path), IDENTITY, recompute=False)
    assert done_files(earlier, tmp_path) == ["_committed/captions/r1", "_committed/failures/r1"]
    assert {part.has_failures: part.path.split("/")[-2] for part in earlier.done} == {
        False: "captions",
        True: "failures",
    }
    assert earlier.runs == (run_entry(note("r1")),)
    assert (earlier.keeps_published, earlier.drops_committed) == (True, False)


def test_a_finished_job_is_gone_on_from(tmp_path):
    commit(str(tmp_path), "r1", captions="a", failures="b")
    finish(tmp_path, "r1")
    killed_before_clearing = look(str(tmp_path), IDENTITY, recompute=False)
    journal.clear(str(tmp_path))
    earlier = look(str(tmp_path), IDENTITY, recompute=False)
    assert done_files(earlier, tmp_path) == ["captions/r1", "failures/r1"]
    assert earlier.runs == (run_entry(note("r1"), "2026-01-02T04:00:00+00:00"),)
    assert not earlier.drops_committed
    assert killed_before_clearing == dataclasses.replace(earlier, drops_committed=True)


def test_a_run_interrupted_after_a_finished_one_adds_its_rows(tmp_path):
    commit(str(tmp_path), "r1", captions="a")
    finish(tmp_path, "r1")
    journal.clear(str(tmp_path))
    commit(str(tmp_path), "r2", captions="b")
    earlier = look(str(tmp_path), IDENTITY, recompute=False)
    assert done_files(earlier, tmp_path) == ["_committed/captions/r2", "captions/r1"]
    assert [run["run_id"] for run in earlier.runs] == ["r1", "r2"]
    assert runs_in(str(tmp_path)) == earlier.runs


@pytest.mark.parametrize("finished", [False, True])
def test_another_identity_is_refused_with_both_values(tmp_path, finished):
    commit(str(tmp_path), "r1", captions="a")
    if finished:
        finish(tmp_path, "r1")
        journal.clear(str(tmp_path))
    message = r'decode: earlier runs {}, this one {"method":"greedy"}\. Say --recompute'
    with pytest.raises(ConfigError, match=message):
        look(str(tmp_path), OTHER, recompute=False)
    earlier = look(str(tmp_path), OTHER, recompute=True)
    assert (earlier.done, earlier.keeps_published, earlier.drops_committed) == ((), False, True)
    assert [run["run_id"] for run in earlier.runs] == ["r1"]


def test_an_interrupted_recompute_never_mixes_with_the_old_table(tmp_path):
    commit(str(tmp_path), "r1", captions="ab")
    finish(tmp_path, "r1")
    journal.clear(str(tmp_path))
    commit(str(tmp_path), "r2", captions="a", identity=OTHER, keeps_published=False)
    earlier = look(str(tmp_path), OTHER, recompute=False)
    assert done_files(earlier, tmp_path) == ["_committed/captions/r2"]
    assert (earlier.keeps_published, earlier.drops_committed) == (False, False)


def test_json_lines_go_on_from_what_stays_committed(tmp_path):
    identity = dataclasses.replace(IDENTITY, output_format="jsonl")
    commit(str(tmp_path), "r1", captions="a", identity=identity)
    finish(tmp_path, "r1", identity, output_format="jsonl")
    earlier = look(str(tmp_path), identity, recompute=False)
    assert done_files(earlier, tmp_path) == ["_committed/captions/r1"]
    assert not earlier.drops_committed


def test_a_folder_of_someone_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="no run of this job wrote it"):
        look(str(tmp_path), IDENTITY, recompute=True)
    with pytest.raises(ConfigError, match=r"is not empty; choose another folder, say --overwrite"):
        check_empty(str(tmp_path))


def test_an_interrupted_run_is_named_where_resume_was_not_said(tmp_path):
    commit(str(tmp_path), "r1", captions="a")
    with pytest.raises(ConfigError, match="holds an interrupted run; go on with it by --resume"):
        check_empty(str(tmp_path))


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_damaged_manifest_is_named(tmp_path, text):
    assert read_manifest(str(tmp_path)) is None
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ConfigError, match=r"manifest\.json: is no manifest"):
        read_manifest(str(tmp_path))
