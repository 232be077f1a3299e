import dataclasses
import datetime
import json

import pytest

from beam_jobs.counters import JobCounts, metrics_section
from beam_jobs.manifest import RunRecord, build_manifest, versions, write_manifest
from beam_jobs.outputs.earlier import run_entry
from beam_jobs.outputs.publish import Published, TableState
from beam_jobs.records import parse_time
from tests.beam_jobs.outputs.parts import IDENTITY, note

START = "2026-01-02T12:00:00+00:00"
FAILURES = {("read", "FileNotFoundError"): 1, ("decode", "EmptyImageError"): 1}
COUNTS = JobCounts(
    listed=12,
    distinct=10,
    selected=8,
    skipped=2,
    retried=1,
    other_rows=1,
    bad_rows=3,
    captions=4,
    failures_by_type=FAILURES,
    bytes_read=1000,
)
NOTE = note("r2", started_at=START, settings={"input": ["photos"], "max_failure_rate": 0.5})


def manifest_of(*, counts=COUNTS, caption_rows=7, secs=4.0, max_failure_rate=0.5):
    settings = {**NOTE.settings, "max_failure_rate": max_failure_rate}
    record = RunRecord(
        note=dataclasses.replace(NOTE, settings=settings),
        finished_at=parse_time(START) + datetime.timedelta(seconds=secs),
        counts=counts,
        published=Published(
            TableState(caption_rows, 2, 60, {"r1": 3, "r2": caption_rows - 3}),
            TableState(2, 1, 30, {"r2": 2}),
        ),
        complete=True,
        runs=[run_entry(note("r1")), run_entry(NOTE, "2026-01-02T12:00:04+00:00")],
    )
    return build_manifest(record)


def test_the_manifest_says_what_the_runs_were():
    found = manifest_of()
    # Its numbers are those of test_counters; peak memory is this process's own.
    assert set(found.pop("metrics")) == set(metrics_section(COUNTS, 4.0))
    assert found == {
        "format_version": 2,
        "status": "succeeded",
        "complete": True,
        "run_id": "r2",
        "started_at": START,
        "finished_at": "2026-01-02T12:00:04+00:00",
        "elapsed_secs": 4.0,
        "images_per_sec": 1.0,
        "command_line": ["--input", "photos"],
        "bundle": {"path": "b", "name": "toy", "fingerprint": "f" * 64},
        "decode": {},
        "settings": {"input": ["photos"], "max_failure_rate": 0.5},
        "identity": dataclasses.asdict(IDENTITY),
        "counts": {
            "listed": 12,
            "distinct": 10,
            "duplicates": 2,
            "left_out_by_limit": 2,
            "done_by_earlier_runs": 2,
            "retried": 1,
            "rows_of_other_inputs": 1,
            "bad_rows": 3,
            "captions": 7,
            "failures": 2,
            "captions_of_this_run": 4,
            "failures_of_this_run": 2,
            "bytes_read": 1000,
        },
        "failures_by_stage": {"read": {"FileNotFoundError": 1}, "decode": {"EmptyImageError": 1}},
        "mismatches": [],
        "files": {
            "captions": {"files": 2, "rows": 7, "bytes": 60},
            "failures": {"files": 1, "rows": 2, "bytes": 30},
        },
        "runs": [
            {**run_entry(note("r1")), "captions": 3, "failures": 0},
            {
                "run_id": "r2",
                "started_at": START,
                "finished_at": "2026-01-02T12:00:04+00:00",
                "command_line": ["--input", "photos"],
                "captions": 4,
                "failures": 2,
            },
        ],
        "versions": versions(),
    }


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"max_failure_rate": 0.23}, "succeeded"),
        ({"max_failure_rate": 0.22}, "too_many_failures"),
        ({"caption_rows": 6}, "inconsistent"),
        ({"caption_rows": 8}, "inconsistent"),
    ],
)
def test_the_status_tells_how_it_ended(changes, status):
    found = manifest_of(**changes)
    assert found["status"] == status
    assert bool(found["mismatches"]) == (status == "inconsistent")


def test_without_counters_the_tables_still_speak():
    found = manifest_of(counts=None)
    assert found["counts"] == {"captions": 7, "failures": 2}
    assert (found["status"], found["mismatches"], found["metrics"]) == ("succeeded", [], {})
    assert found["images_per_sec"] == 1.75


def test_a_run_of_no_time_has_no_speed():
    assert manifest_of(secs=0.0)["images_per_sec"] == 0.0


def test_the_manifest_is_json_that_any_reader_takes(tmp_path):
    address = write_manifest(str(tmp_path), {"uri": "caf\udce9 ü", "n": 1})
    assert address == f"{tmp_path}/manifest.json"
    assert json.loads((tmp_path / "manifest.json").read_bytes()) == {"uri": "caf\udce9 ü", "n": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_versions_name_what_shapes_the_result():
    found = versions()
    assert set(found) >= {"python", "apache-beam", "tensorflow", "pyarrow"}
    assert "not installed" not in (found["apache-beam"], found["tensorflow"])
