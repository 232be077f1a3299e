import dataclasses
import json
import os
import shutil

import pytest

from beam_jobs import status as status_module
from beam_jobs.outputs import journal
from beam_jobs.records import CAPTIONS, FAILURES
from beam_jobs.status import main, status
from beam_jobs.status_text import ResumeState, RunState, Status
from beam_jobs.tally import FailureKind
from model_lib.errors import ConfigError
from tests.beam_jobs.outputs.parts import IDENTITY, commit
from tests.beam_jobs.run_folder import caption_row, failure_row, write_tables

STARTED = "2026-01-02T03:04:05.000006+00:00"
TIMEOUT = FailureKind("read", "FetchTimeoutError", True)
TRUNCATED = FailureKind("decode", "TruncatedImageError", False)
MANIFEST = {
    "run_id": "run-1",
    "status": "succeeded",
    "started_at": STARTED,
    "finished_at": "2026-01-02T04:00:00+00:00",
    "command_line": ["--input", "photos"],
    "counts": {"captions": 3, "failures": 2},
    "identity": dataclasses.asdict(IDENTITY),
    "runs": [
        {
            "run_id": "run-1",
            "started_at": STARTED,
            "finished_at": "2026-01-02T04:00:00+00:00",
            "command_line": ["--input", "photos"],
            "captions": 3,
            "failures": 2,
        }
    ],
}
FIRST_RUN = RunState(
    "run-1", STARTED, "2026-01-02T04:00:00+00:00", ("--input", "photos"), captions=3, failures=2
)


@pytest.fixture
def output(tmp_path) -> str:
    return str(tmp_path / "out")


def publish(tmp_path, **changes) -> None:
    """Leaves what a finished run leaves: a, b, c captioned, d and e failed, e by a time-out."""
    timeout = failure_row("e.jpg", **TIMEOUT._asdict())
    rows = [caption_row(f"{name}.jpg") for name in "abc"]
    write_tables(tmp_path / "out", rows, [failure_row("d.jpg"), timeout])
    (tmp_path / "out" / "manifest.json").write_text(json.dumps({**MANIFEST, **changes}))


def second_run(captions: int, failures: int, **changes) -> RunState:
    run = RunState("run-2", STARTED, None, ("--input", "photos"), captions, failures)
    return dataclasses.replace(run, **changes)


def test_a_finished_run(output, tmp_path):
    publish(tmp_path)
    assert status(output) == Status(
        output=output,
        state="published",
        secs_since_news=None,
        published={name: MANIFEST[name] for name in ("status", "run_id", "finished_at", "counts")},
        captions=3,
        failures=2,
        unpublished_captions=0,
        unpublished_failures=0,
        failures_by_kind={TRUNCATED: 1, TIMEOUT: 1},
        runs=(FIRST_RUN,),
        resume=ResumeState(3, {"all": 2, "transient": 1, "none": 0}, dataclasses.asdict(IDENTITY)),
    )


def test_a_first_run_that_goes_on(output):
    commit(output, "run-2", captions="ab", failures="x")
    journal.commit(output, CAPTIONS, "run-2", [caption_row("b.jpg")])
    found = status(output)
    assert (found.state, found.published) == ("running", None)
    assert (found.captions, found.unpublished_captions) == (2, 2)
    assert (found.failures, found.unpublished_failures) == (1, 1)
    assert found.runs == (second_run(captions=3, failures=1),)
    assert found.resume.captioned == 2


def test_a_second_run_that_was_interrupted(output, tmp_path):
    publish(tmp_path)
    commit(output, "run-2", captions="ef", failures="dg")
    found = status(output, now_secs=newest_secs(output) + 600)
    assert (found.state, found.secs_since_news) == ("interrupted", 600.0)
    assert (found.captions, found.unpublished_captions) == (5, 2)
    assert (found.failures, found.unpublished_failures) == (2, 1)
    assert found.failures_by_kind == {TRUNCATED: 2}
    assert found.runs == (FIRST_RUN, second_run(captions=2, failures=2))
    assert found.resume.retried == {"all": 2, "transient": 0, "none": 0}


def newest_secs(output: str) -> float:
    folder = os.path.join(output, "_committed")
    return max(
        os.path.getmtime(os.path.join(path, name))
        for path, _, names in os.walk(folder)
        for name in names
    )


def test_a_run_that_has_only_begun(output, tmp_path):
    publish(tmp_path)
    commit(output, "run-2")
    assert status(output).state == "running"
    assert status(output, now_secs=newest_secs(output) + 181).state == "interrupted"


def test_a_run_that_computes_anew_makes_published_rows_count_for_nothing(output, tmp_path):
    publish(tmp_path)
    commit(output, "run-2", captions="a", keeps_published=False)
    found = status(output)
    assert (found.captions, found.failures) == (1, 0)
    assert found.published["counts"] == MANIFEST["counts"]


def test_committed_rows_that_are_kept_beside_the_published_ones(output, tmp_path):
    publish(
        tmp_path,
        run_id="run-2",
        runs=[*MANIFEST["runs"], {**MANIFEST["runs"][0], "run_id": "run-2"}],
    )
    commit(output, "run-2", captions="abc", failures="d")
    found = status(output)
    assert (found.state, found.captions, found.unpublished_captions) == ("published", 3, 0)
    journal.commit(output, CAPTIONS, "run-2", [caption_row("z.jpg")])
    found = status(output)
    assert (found.state, found.captions, found.unpublished_captions) == ("running", 4, 1)


def test_what_an_earlier_release_wrote(output, tmp_path):
    publish(tmp_path)
    old = {name: value for name, value in MANIFEST.items() if name not in ("identity", "runs")}
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(old))
    found = status(output)
    assert (found.captions, found.failures, found.resume) == (3, 2, None)
    assert found.runs == (FIRST_RUN,)


@pytest.mark.parametrize("content", [None, '{"a": 1}', "[]", "nothing"])
def test_a_folder_of_others_is_refused(output, tmp_path, content):
    if content is not None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "manifest.json").write_text(content)
    with pytest.raises(ConfigError, match=str(tmp_path / "out")):
        status(output)


def test_a_run_that_ends_while_it_is_looked_at(output, tmp_path, monkeypatch):
    commit(output, "run-1", captions="abc")
    real_tally = status_module.tally

    def publish_meanwhile(*files):
        if os.path.exists(f"{output}/_committed"):
            shutil.rmtree(f"{output}/_committed")
            publish(tmp_path)
        return real_tally(*files)

    monkeypatch.setattr(status_module, "tally", publish_meanwhile)
    found = status(output)
    assert (found.state, found.captions, found.failures) == ("published", 3, 2)


def test_a_damaged_part_is_named(output, tmp_path):
    commit(output, "run-1", captions="abc")
    [part] = (tmp_path / "out" / "_committed" / "captions").iterdir()
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(OSError, match=f"{part}: damaged"):
        status(output)


def test_the_command_prints_lines(output, tmp_path, capsys):
    publish(tmp_path)
    commit(output, "run-2", captions="ef", failures="g")
    rows = [failure_row(f"{at}.jpg", f"Error{at:02}") for at in range(10)]
    journal.commit(output, FAILURES, "run-2", rows)
    assert main([output]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{output}: running, or stopped just now; its newest file is 0:00:0")
    assert lines[1:] == [
        "",
        "captions             5  (2 of them not yet published)",
        "failures            12  (11 of them not yet published)",
        "                     2  TruncatedImageError (decode)",
        *(f"                     1  Error{at:02} (decode)" for at in range(9)),
        "            and 1 more kinds; see --json",
        "",
        "published   3 captions, 2 failures (succeeded, 2026-01-02T04:00:00+00:00)",
        "",
        "run         run-1: finished 2026-01-02T04:00:00+00:00",
        "            3 rows of captions, 2 of failures",
        "            caption-images --input photos",
        "run         run-2: not finished",
        "            2 rows of captions, 11 of failures",
        "            caption-images --input photos",
        "",
        "--resume    leaves 5 captioned images as they are",
        "            tries failures again by --retry_failures: 12 (all), 0 (transient), 0 (none)",
        "            insists on:",
        f"              model fingerprint: {'f' * 64}",
        "              decode: {}",
        "              carried columns: none",
        "              output format: parquet",
        "              precision: float32",
        '              style: {"language_style":"raw","min_score":null}',
    ]


def test_the_command_prints_the_same_as_json(output, tmp_path, capsys):
    publish(tmp_path)
    assert main([output, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(json.dumps(status(output).to_dict()))
    assert found["failures_by_kind"] == [
        {**TRUNCATED._asdict(), "count": 1},
        {**TIMEOUT._asdict(), "count": 1},
    ]
    assert found["resume"]["retried"] == {"all": 2, "transient": 1, "none": 0}


def test_a_bucket_is_looked_at_like_a_folder(bucket, tmp_path):
    output = f"{bucket}/out"
    commit(output, "run-1", captions="ab", failures="x")
    found = status(output)
    assert (found.state, found.captions, found.failures) == ("running", 2, 1)
    assert 0 <= found.secs_since_news < 170
    with pytest.raises(ConfigError):
        status(f"{bucket}/none")
