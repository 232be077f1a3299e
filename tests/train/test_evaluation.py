"""Several bundles and files in one evaluation, with toy bundles on photos of one colour."""

import json
from pathlib import Path

import pytest

from model_lib.bundle import load_bundle
from tests.beam_jobs.run_folder import caption_row, write_tables
from tests.toy import make_toy_bundle
from tests.train.folders import CAPTIONS, write_tsv_folder
from train.evaluate_captioner import main
from train.metrics import measure_captions

DEV = ["red.jpg", "green.png", "blue.webp"]
REFERENCES = {name: CAPTIONS[name] for name in DEV}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_toy_bundle(str(tmp_path_factory.mktemp("toy") / "bundle"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    folder = write_tsv_folder(root / "photos", dev=DEV)
    return ["--data", str(folder), "--data_dir", str(root / "tfds"), "--no_java"]


@pytest.fixture
def saved(tmp_path):
    """Captions that are those of a reference, but for one."""
    path = tmp_path / "saved.predictions.jsonl"
    captions = {"red.jpg": "a red square", "green.png": "a green square", "blue.webp": "sky"}
    rows = [{"image_id": name, "caption": text} for name, text in captions.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path), captions


def captions_of(path):
    rows = map(json.loads, Path(path).read_text().splitlines())
    return {row["image_id"]: row["caption"] for row in rows}


def test_two_equal_bundles_and_a_file_are_compared(bundle, data, saved, tmp_path, capsys):
    output = tmp_path / "both.json"
    words = [*data, bundle, "--predictions_from", saved[0], "--output", str(output), bundle]
    assert main([*words, "--bootstrap", "50", "--html", str(tmp_path / "both.html")]) == 0
    results = json.loads(output.read_text())
    models = results["models"]
    name = f"{Path(bundle).parent.name}/bundle"
    assert [model["label"] for model in models] == [name, f"{name} (2)", "saved"]
    paths = [model["predictions"] for model in models]
    assert all(Path(path).parent == tmp_path for path in paths)
    assert len(set(paths)) == 3
    expected = measure_captions(REFERENCES, [captions_of(path) for path in paths], java=False)
    assert [model["metrics"] for model in models] == [one.metrics for one in expected]
    assert results["counts"] == {"images": 3, "references": 6}
    assert results["bootstrap"] == {"resamples": 50, "seed": 0, "share": 0.95}
    first, again, other = models
    assert "differences" not in first
    nothing = {"value": 0.0, "interval": [0.0, 0.0], "excludes_zero": False}
    assert again["differences"] == dict.fromkeys(first["metrics"], nothing)
    assert other["differences"]["CIDEr"]["value"] == pytest.approx(
        other["metrics"]["CIDEr"] - first["metrics"]["CIDEr"]
    )
    for metric, (low, high) in first["intervals"].items():
        assert low <= first["metrics"][metric] <= high
    captioner = load_bundle(bundle)
    assert first["parameters"] == {
        "encoder": captioner.encoder.count_params(),
        "decoder": captioner.decoder.count_params(),
    }
    sizes = [path.stat().st_size for path in Path(bundle).iterdir()]
    assert first["size_bytes"] == sum(sizes) > 0
    assert first["bundle"]["fingerprint"] == captioner.info.fingerprint
    assert (other["bundle"], "size_bytes" in other) == (None, False)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{data[1]} dev: 3 photos"
    assert printed[1].split() == [name, name, "(2)", "saved"]
    assert printed[-4:] == [*(f"captions: {path}" for path in paths), f"results: {output}"]
    assert "<h1>3 models compared</h1>" in (tmp_path / "both.html").read_text()


def test_a_finished_run_is_scored_with_a_file_of_references(saved, tmp_path, capsys):
    rows = [caption_row(f"gs://b/{name}", caption=text) for name, text in saved[1].items()]
    run = write_tables(tmp_path / "run", [*rows, caption_row("gs://b/other.jpg")])
    references = tmp_path / "truth.csv"
    lines = [f"{name},{text}" for name, texts in CAPTIONS.items() for text in texts]
    references.write_text("\n".join(["file_name,caption", *lines]))
    output = tmp_path / "run.json"
    words = ["--references", str(references), "--predictions_from", run, "--output", str(output)]
    assert main([*words, "--no_java"]) == 0
    results = json.loads(output.read_text())
    assert results["metrics"] == measure_captions(REFERENCES, [saved[1]], java=False)[0].metrics
    assert results["counts"] == {"images": 3, "references": 6, "distinct_captions": 3}
    assert results["matching"]["reference_images_without_caption"] == 1
    assert results["matching"]["captions_without_references"] == {"run": 1}
    assert (results["bundle"], results["data"], results["split"]) == (None, None, None)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"saved captions on {references}: 3 photos"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["A", "--data", "d", "--bundle", "B"], "--bundle B beside bundles without a flag (A)"),
        (["A", "B", "--data", "d", "--predictions", "p"], "--predictions is a file for one bundle"),
        (["--references", "r"], "--references scores saved captions: give --predictions_from"),
        (
            ["A", "--references", "r", "--predictions_from", "p"],
            "--references scores saved captions: give --predictions_from and no bundle",
        ),
        (
            ["--references", "r", "--predictions_from", "p", "--split", "dev"],
            "--split has no effect with --references",
        ),
        (
            ["--references", "r", "--predictions_from", "p", "--data", "d"],
            "--data has no effect with --references",
        ),
        (["--data", "d", "--html_photos", "3"], "--html_photos has no effect without --html"),
        (["A", "nowhere", "--data", "d", "--no_java"], "A"),
    ],
)
def test_what_contradicts_itself_is_refused(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--output", "o"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"evaluate-captioner: {message}")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
