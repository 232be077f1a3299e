import datetime
import json

import pytest

from beam_jobs.config import JobConfig
from beam_jobs.counters import JobCounts
from beam_jobs.manifest import RunRecord, build_manifest, versions, write_manifest
from beam_jobs.pipeline import JobPlan
from beam_jobs.sinks import Part
from model_lib.bundle import read_bundle_info

START = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.timezone.utc)
FAILURES = {("read", "FileNotFoundError"): 1, ("decode", "EmptyImageError"): 1}


def manifest_of(bundle, *, captions=6, caption_rows=6, secs=4.0, **settings):
    info = read_bundle_info(bundle)
    config = JobConfig(input=("photos",), output="out", bundle=bundle, **settings)
    plan = JobPlan(config, "r1", bundle, info, info.decode)
    record = RunRecord(
        command_line=("--input", "photos"),
        started_at=START,
        finished_at=START + datetime.timedelta(seconds=secs),
        counts=JobCounts(12, 10, 8, captions, FAILURES, 1000),
        caption_parts=[Part("a", caption_rows - 2, 40), Part("b", 2, 20)],
        failure_parts=[Part("c", 2, 30)],
    )
    return build_manifest(plan, record)


def test_the_manifest_says_what_the_run_was(toy_bundle):
    info = read_bundle_info(toy_bundle)
    found = manifest_of(toy_bundle)
    settings = found.pop("settings")
    assert settings["input"] == ["photos"]
    assert settings["batch_size"] == 32
    assert found == {
        "format_version": 1,
        "status": "succeeded",
        "run_id": "r1",
        "started_at": "2026-01-02T12:00:00+00:00",
        "finished_at": "2026-01-02T12:00:04+00:00",
        "elapsed_secs": 4.0,
        "images_per_sec": 1.5,
        "command_line": ["--input", "photos"],
        "bundle": {"path": toy_bundle, "name": "toy", "fingerprint": info.fingerprint},
        "decode": info.decode.to_dict(),
        "counts": {
            "listed": 12,
            "distinct": 10,
            "duplicates": 2,
            "left_out_by_limit": 2,
            "captions": 6,
            "failures": 2,
            "bytes_read": 1000,
        },
        "failures_by_stage": {"read": {"FileNotFoundError": 1}, "decode": {"EmptyImageError": 1}},
        "mismatches": [],
        "files": {
            "captions": {"files": 2, "rows": 6, "bytes": 60},
            "failures": {"files": 1, "rows": 2, "bytes": 30},
        },
        "versions": versions(),
    }


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"max_failure_rate": 0.25}, "succeeded"),
        ({"max_failure_rate": 0.24}, "too_many_failures"),
        ({"caption_rows": 5}, "inconsistent"),
        ({"captions": 5, "caption_rows": 5}, "inconsistent"),
    ],
)
def test_the_status_tells_how_it_ended(toy_bundle, changes, status):
    found = manifest_of(toy_bundle, **changes)
    assert found["status"] == status
    assert bool(found["mismatches"]) == (status == "inconsistent")


def test_a_run_of_no_time_has_no_speed(toy_bundle):
    assert manifest_of(toy_bundle, secs=0.0)["images_per_sec"] == 0.0


def test_the_manifest_is_json_that_any_reader_takes(tmp_path):
    address = write_manifest(str(tmp_path), {"uri": "caf\udce9 ü", "n": 1})
    assert address == f"{tmp_path}/manifest.json"
    assert json.loads((tmp_path / "manifest.json").read_bytes()) == {"uri": "caf\udce9 ü", "n": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_versions_name_what_shapes_the_result():
    found = versions()
    assert set(found) >= {"python", "apache-beam", "tensorflow", "pyarrow"}
    assert "not installed" not in (found["apache-beam"], found["tensorflow"])
