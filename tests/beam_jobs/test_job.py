import json

import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs import job
from beam_jobs.config import JobConfig
from model_lib.bundle import default_bundle_path, read_bundle_info
from model_lib.config import DecodeConfig
from model_lib.errors import BundleError, ConfigError
from model_lib.sentences import as_sentence
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


def test_the_report_shows_attention_where_that_is_asked_for(settings, tmp_path):
    asked = {"no_report": False, "report_attention": 1, "precision": "float32"}
    job.run(prepare(settings, **asked), OPTIONS)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.count('alt="One panel for each word of: ') == 1
    assert "1 photo of the sample" in page


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


def photos_more(tmp_path, *names: str) -> None:
    for name in names:
        (tmp_path / "photos" / name).write_bytes(good_images()[name])


def uris(output) -> list[str]:
    rows = pq.read_table(output / "captions", columns=["uri"]).column("uri").to_pylist()
    return sorted(uri.rsplit("/", 1)[-1] for uri in rows)


def test_a_resumed_job_adds_what_is_new_and_lists_both_runs(settings, tmp_path):
    first = job.run(prepare(settings, resume=True), OPTIONS)
    photos_more(tmp_path, "lossy.webp")
    second = job.run(prepare(settings, resume=True), OPTIONS)
    assert uris(tmp_path / "out") == ["lossy.webp", "rgb.jpg", "rgba.png"]
    counts = second["counts"]
    assert (counts["captions"], counts["done_by_earlier_runs"]) == (3, 2)
    assert (counts["captions_of_this_run"], second["mismatches"]) == (1, [])
    runs = [(run["run_id"], run["captions"], bool(run["finished_at"])) for run in second["runs"]]
    assert runs == [(first["run_id"], 2, True), (second["run_id"], 1, True)]


def test_nothing_is_left_to_do(settings, tmp_path):
    job.run(prepare(settings), OPTIONS)
    before = [path.read_bytes() for path in (tmp_path / "out" / "captions").iterdir()]
    manifest = job.run(prepare(settings, resume=True), OPTIONS)
    assert [path.read_bytes() for path in (tmp_path / "out" / "captions").iterdir()] == before
    assert manifest["counts"]["captions"] == manifest["counts"]["done_by_earlier_runs"] == 2


def test_failures_are_tried_again_as_asked(settings, tmp_path):
    (tmp_path / "photos" / "rgb.jpg").write_bytes(b"")
    job.run(prepare(settings), OPTIONS)
    photos_more(tmp_path, "rgb.jpg")
    skipped = job.run(prepare(settings, resume=True), OPTIONS)
    assert (skipped["counts"]["failures"], skipped["counts"]["retried"]) == (1, 0)
    retried = job.run(prepare(settings, resume=True, retry_failures="all"), OPTIONS)
    assert (retried["counts"]["failures"], retried["counts"]["retried"]) == (0, 1)
    assert uris(tmp_path / "out") == ["rgb.jpg", "rgba.png"]
    assert not (tmp_path / "out" / "failures").exists()


def test_other_settings_are_refused_or_computed_anew(settings, tmp_path):
    job.run(prepare(settings), OPTIONS)
    changed = {"resume": True, "decode": "greedy"}
    with pytest.raises(ConfigError, match=r'decode: earlier runs \{"beam_width.*"method":"greedy"'):
        prepare(settings, **changed)
    manifest = job.run(prepare(settings, recompute=True, **changed), OPTIONS)
    rows = pq.read_table(tmp_path / "out" / "captions").to_pylist()
    assert {json.loads(row["decode_config"])["method"] for row in rows} == {"greedy"}
    assert {row["run_id"] for row in rows} == {manifest["run_id"]}
    assert [run["captions"] for run in manifest["runs"]] == [0, 2]


def test_another_precision_is_another_job(settings, tmp_path):
    manifest = job.run(prepare(settings), OPTIONS)
    assert manifest["identity"]["precision"] == "float32"
    message = "precision: earlier runs float32, this one bfloat16"
    with pytest.raises(ConfigError, match=message):
        prepare(settings, resume=True, precision="bfloat16")
    changes = {"resume": True, "recompute": True, "precision": "bfloat16"}
    manifest = job.run(prepare(settings, **changes), OPTIONS)
    assert manifest["identity"]["precision"] == "bfloat16"
    assert [run["captions"] for run in manifest["runs"]] == [0, 2]


def test_another_runtime_of_the_encoder_is_the_same_job(settings, tmp_path):
    job.run(prepare(settings), OPTIONS)
    expected = pq.read_table(tmp_path / "out" / "captions").to_pylist()
    changes = {"overwrite": True, "encoder_runtime": "onnxruntime"}
    job.run(prepare(settings, **changes), OPTIONS)
    rows = pq.read_table(tmp_path / "out" / "captions").to_pylist()
    columns = ("uri", "caption", "num_tokens", "decode_config")
    assert [[row[c] for c in columns] for row in rows] == [
        [row[c] for c in columns] for row in expected
    ]
    prepare(settings, resume=True)
    with pytest.raises(ConfigError, match="in float32 only, and precision is float16"):
        prepare(settings, encoder_runtime="onnxruntime", precision="float16")


def test_a_style_fills_columns_and_belongs_to_the_job(settings, tmp_path):
    style = {"language_style": "sentence", "min_score": -0.0}
    job.run(prepare(settings, **style), OPTIONS)
    rows = pq.read_table(tmp_path / "out" / "captions").to_pylist()
    assert [row["sentence"] for row in rows] == [as_sentence(row["caption"]) for row in rows]
    assert [row["low_confidence"] for row in rows] == [True, True]
    with pytest.raises(ConfigError, match=r'style: earlier runs \{"language_style":"sentence"'):
        prepare(settings, resume=True)
    with pytest.raises(ConfigError, match=r"--min_score is 0\.5; expected at most 0"):
        prepare(settings, min_score=0.5)


def test_json_lines_are_resumed_too(settings, tmp_path):
    changes = {"output_format": "jsonl", "resume": True}
    job.run(prepare(settings, **changes), OPTIONS)
    photos_more(tmp_path, "lossy.webp")
    manifest = job.run(prepare(settings, **changes), OPTIONS)
    [path] = (tmp_path / "out" / "captions").iterdir()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    names = sorted(row["uri"].rsplit("/", 1)[-1] for row in rows)
    assert names == ["lossy.webp", "rgb.jpg", "rgba.png"]
    assert manifest["counts"]["done_by_earlier_runs"] == 2


def test_relative_paths_are_those_of_the_launcher(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manifest = job.run(prepare(settings, input=("photos",), output="out"), OPTIONS)
    assert uris(tmp_path / "out") == ["rgb.jpg", "rgba.png"]
    rows = pq.read_table(tmp_path / "out" / "captions").to_pylist()
    assert {row["uri"] for row in rows} == {"photos/rgb.jpg", "photos/rgba.png"}
    assert manifest["status"] == "succeeded"


def test_columns_of_a_table_are_carried(settings, tmp_path):
    lines = ["uri,id,caption", f"{tmp_path}/photos/rgb.jpg,7,old words", f"{tmp_path}/no.jpg,8,"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    job.run(prepare(settings, input=(f"{tmp_path}/t.csv",)), OPTIONS)
    [row] = pq.read_table(tmp_path / "out" / "captions").to_pylist()
    assert (row["id"], row["input_caption"]) == (7, "old words")
    [row] = pq.read_table(tmp_path / "out" / "failures").to_pylist()
    assert (row["id"], row["error_type"]) == (8, "FileNotFoundError")


def test_only_runners_of_this_machine_report_progress():
    assert job.is_local(OPTIONS)
    assert not job.is_local(PipelineOptions(["--runner=DataflowRunner"]))
