import json
import logging

import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs import job
from beam_jobs.config import JobConfig
from model_lib.bundle import default_bundle_path, read_bundle_info
from model_lib.config import DecodeConfig
from model_lib.errors import BundleError, ConfigError
from tests.images import good_images
from tests.toy import make_toy_bundle

OPTIONS = PipelineOptions(["--runner=FnApiRunner"])


@pytest.fixture
def settings(toy_bundle, tmp_path) -> dict:
    (tmp_path / "photos").mkdir()
    for name in ("rgb.jpg", "rgba.png"):
        (tmp_path / "photos" / name).write_bytes(good_images()[name])
    return {
        "input": (str(tmp_path / "photos"),),
        "output": str(tmp_path / "out"),
        "bundle": toy_bundle,
        "no_report": True,
    }


def prepare(settings, **changes):
    return job.prepare(JobConfig(**{**settings, **changes}), OPTIONS)


def test_preparing_decides_everything_and_writes_nothing(settings, tmp_path):
    plan = prepare(settings, decode="greedy", max_length_tokens=5)
    assert plan.decode == DecodeConfig(method="greedy", max_length_tokens=5)
    assert plan.info == read_bundle_info(settings["bundle"])
    assert plan.run_id != prepare(settings).run_id
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"input": ("{0}/none",)}, ConfigError, "--input {0}/none: there is no such folder"),
        ({"output": "{0}/photos"}, ConfigError, "--output {0}/photos: is not empty"),
        ({"output": "{0}/photos/rgb.jpg"}, ConfigError, "rgb.jpg: is a file; expected a folder"),
        ({"bundle": "{0}"}, BundleError, "{0}/bundle.json: cannot be read"),
        ({"decode": "greedy", "seed": 1}, ConfigError, "seed has no effect"),
        ({"max_length_tokens": 1}, ConfigError, "max_length_tokens is 1"),
    ],
)
def test_mistakes_are_found_before_any_work(settings, tmp_path, changes, error, message):
    filled = {
        name: tuple(v.format(tmp_path) for v in value)
        if isinstance(value, tuple)
        else value.format(tmp_path)
        if isinstance(value, str)
        else value
        for name, value in changes.items()
    }
    with pytest.raises(error) as raised:
        prepare(settings, **filled)
    assert message.format(tmp_path) in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_without_a_bundle_the_shipped_one_is_used(settings):
    assert prepare(settings, bundle=None).bundle == default_bundle_path()


def test_a_run_leaves_tables_report_and_manifest_and_nothing_else(settings, tmp_path):
    manifest = job.run(prepare(settings, no_report=False), OPTIONS, ["--words"])
    out = tmp_path / "out"
    files = sorted(path.relative_to(out).parts[0] for path in out.iterdir())
    assert files == ["captions", "manifest.json", "report.html"]
    assert json.loads((out / "manifest.json").read_text()) == manifest
    assert manifest["command_line"] == ["--words"]
    assert manifest["report"] == "report.html"
    assert manifest["status"] == "succeeded"
    assert pq.read_table(out / "captions").num_rows == 2


def test_overwriting_replaces_what_is_ours_and_keeps_the_rest(settings, tmp_path):
    first = job.run(prepare(settings), OPTIONS)
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "photos" / "rgba.png").write_bytes(b"")
    second = job.run(prepare(settings, overwrite=True), OPTIONS)
    rows = pq.read_table(tmp_path / "out" / "captions").to_pylist()
    assert [row["run_id"] for row in rows] == [second["run_id"]] != [first["run_id"]]
    assert second["counts"]["failures"] == 1
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_pipeline_that_fails_says_why_and_writes_no_manifest(settings, tmp_path):
    bundle = make_toy_bundle(str(tmp_path / "bundle"))
    with open(f"{bundle}/decoder.weights.h5", "ab") as file:
        file.write(b"!")
    with pytest.raises(job.PipelineError, match=r"decoder.weights.h5: sha256 is \w+, bundle.json"):
        job.run(prepare(settings, bundle=bundle), OPTIONS)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_report_that_cannot_be_written_costs_the_report_only(settings, tmp_path, caplog):
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    with caplog.at_level(logging.ERROR, "beam_jobs.job"):
        plan = prepare(settings, no_report=False)
        (tmp_path / "out" / "report.html" / "in_the_way").touch()
        manifest = job._write_report(plan, {})
    assert manifest is None
    assert caplog.messages == ["report.html could not be written; the tables are complete"]


def test_only_runners_of_this_machine_report_progress():
    assert job.is_local(OPTIONS)
    assert not job.is_local(PipelineOptions(["--runner=DataflowRunner"]))
