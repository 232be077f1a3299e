"""The command `evaluate-captioner`, with a toy bundle on a small folder of photos."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model_lib.bundle import load_bundle, read_bundle_info
from model_lib.onnx_encoder import onnx_encoder
from tests.toy import make_toy_bundle
from tests.train.folders import CAPTIONS, write_tsv_folder
from train.evaluate_captioner import main
from train.metrics import score_captions

DEV = ["red.jpg", "green.png", "blue.webp"]
REFERENCES = {name: CAPTIONS[name] for name in DEV}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_toy_bundle(str(tmp_path_factory.mktemp("toy") / "bundle"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Flags of a folder of photos with three in `dev`."""
    root = tmp_path_factory.mktemp("data")
    folder = write_tsv_folder(root / "photos", dev=DEV)
    return ["--data", str(folder), "--data_dir", str(root / "tfds")]


@pytest.fixture
def saved(tmp_path):
    """Captions that are those of a reference, but for one."""
    path = tmp_path / "saved.jsonl"
    captions = {"red.jpg": "a red square", "green.png": "a green square", "blue.webp": "sky"}
    rows = [{"image_id": name, "caption": text} for name, text in captions.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path), captions


def read(path):
    return json.loads(path.read_text())


def test_a_bundle_is_evaluated(bundle, data, tmp_path, capsys):
    output = tmp_path / "new" / "eval.json"
    picture = tmp_path / "new" / "scores.png"
    words = [*data, "--bundle", bundle, "--output", str(output), "--no_java"]
    assert main([*words, "--reliability", str(picture)]) == 0
    results = read(output)
    predictions = tmp_path / "new" / "eval.predictions.jsonl"
    captions = {
        row["image_id"]: row["caption"]
        for row in map(json.loads, predictions.read_text().splitlines())
    }
    folder = data[1]
    photos = [Path(folder, "images", name).read_bytes() for name in DEV]
    expected = [found[0].text for found in load_bundle(bundle).caption_bytes(photos)]
    assert captions == dict(zip(DEV, expected, strict=True))
    info = read_bundle_info(bundle)
    assert results["metrics"] == score_captions(REFERENCES, captions, java=False)
    assert results["tokenizer"] == "plain"
    assert results["bundle"] == {"name": "toy", "fingerprint": info.fingerprint, "path": bundle}
    assert results["decode"] == info.decode.to_dict()
    assert (results["data"], results["split"]) == (folder, "dev")
    assert results["counts"] == {
        "images": 3,
        "references": 6,
        "distinct_captions": len(set(expected)),
    }
    assert set(results["defects"]) == {"empty", "repeated", "unknown_word", "unfinished", "any"}
    assert results["defects"]["empty"] == 0.0
    assert results["diversity"]["distinct_captions"] == 1.0
    assert results["diversity"]["mean_words"] == sum(len(t.split()) for t in expected) / 3
    assert [part["images"] for part in results["scores"]["tenths"]] == [1, 1, 1]
    found = results["confidence"]
    assert [part["captions"] for part in found["tenths"]] == [1, 1, 1]
    assert found["temperature"] == found["best_temperature"]  # the toy bundle has none of its own
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert results["images_per_sec"] == pytest.approx(3 / results["captioning_secs"], rel=0.01)
    assert results["versions"]["python"] == sys.version.split()[0]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"toy {info.fingerprint[:12]} on {folder} dev: 3 photos"
    low, high = results["intervals"]["BLEU-1"]
    value = results["metrics"]["BLEU-1"]
    assert printed[1].split() == ["BLEU-1", f"{value:.4f}", f"[{low:.4f},", f"{high:.4f}]"]
    assert any(line.startswith("  defects empty 0.00%, repeated ") for line in printed)
    assert printed[-2:] == [f"captions: {predictions}", f"results: {output}"]


def test_flags_take_effect(bundle, data, tmp_path):
    output, predictions = tmp_path / "eval.json", tmp_path / "mine.jsonl"
    flags = "--decode sample --num_captions 4 --top-k 3 --seed 5 --max_length_tokens 5 --limit 2"
    files = ["--output", str(output), "--predictions", str(predictions)]
    words = [*data, "--bundle", bundle, *files, *flags.split(), "--batch_size", "1", "--no-java"]
    assert main([*words, "--split", "train"]) == 0
    results = read(output)
    assert results["decode"] == {
        **read_bundle_info(bundle).decode.to_dict(),
        "method": "sample",
        "num_captions": 4,
        "top_k": 3,
        "seed": 5,
        "max_length_tokens": 5,
    }
    assert (results["split"], results["counts"]["images"]) == ("train", 1)
    [row] = map(json.loads, predictions.read_text().splitlines())
    assert row["image_id"] == "grey.bmp"
    assert len(row["candidates"]) == 4
    assert main([*words]) == 0
    assert read(output)["counts"]["images"] == 2


@pytest.mark.parametrize(
    ("flags", "precision", "runtime"),
    [
        ([], "float32", "tensorflow"),
        (["--precision", "bfloat16"], "bfloat16", "tensorflow"),
        (["--encoder_runtime", "onnxruntime"], "float32", "onnxruntime"),
    ],
)
def test_the_encoder_runs_as_the_flags_say(
    bundle, data, tmp_path, flags, precision, runtime, monkeypatch
):
    output = tmp_path / "eval.json"
    converted = []

    def convert(encoder, size, threads):
        converted.append(size)
        return onnx_encoder(encoder, size, threads)

    monkeypatch.setattr("model_lib.onnx_encoder.onnx_encoder", convert)
    assert main([*data, bundle, "--output", str(output), "--no_java", *flags]) == 0
    assert converted == ([2] if runtime == "onnxruntime" else [])
    results = read(output)
    assert (results["precision"], results["encoder_runtime"]) == (precision, runtime)
    folder = Path(data[1], "images")
    captioner = load_bundle(bundle, precision=precision, encoder_runtime=runtime)
    expected = captioner.caption_bytes([(folder / name).read_bytes() for name in DEV])
    rows = map(json.loads, (tmp_path / "eval.predictions.jsonl").read_text().splitlines())
    assert {row["image_id"]: row["candidates"][0]["score"] for row in rows} == pytest.approx(
        {name: found[0].score for name, found in zip(DEV, expected, strict=True)}, abs=1e-6
    )


def test_a_bundle_s_operations_share_the_cores(bundle, data, tmp_path):
    words = [*data, bundle, "--output", str(tmp_path / "eval.json"), "--no_java"]
    code = (
        "import sys, tensorflow as tf; from train.evaluate_captioner import main; "
        "assert main(sys.argv[1:]) == 0; "
        "print(tf.config.threading.get_intra_op_parallelism_threads())"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TF_NUM_INTRAOP_THREADS"}
    ran = subprocess.run(
        [sys.executable, "-c", code, *words],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    # Batches of 32 are cut into two parts.
    cores = os.cpu_count() or 1
    assert int(ran.stdout.splitlines()[-1]) == -(-cores // min(cores, 2))


def test_saved_captions_are_scored_without_the_model(data, saved, tmp_path, capsys):
    path, captions = saved
    output = tmp_path / "eval.json"
    words = [*data, "--predictions_from", path, "--output", str(output), "--no_java"]
    assert main(words) == 0
    results = read(output)
    assert results["metrics"] == score_captions(REFERENCES, captions, java=False)
    # Six of seven words are in a reference; the guesses have 7 words, the references 6 + 3.
    assert results["metrics"]["BLEU-1"] == pytest.approx(6 / 7 * 2.718281828 ** (1 - 9 / 7), 1e-5)
    assert (results["bundle"], results["predictions"]) == (None, path)
    assert not {"defects", "diversity", "scores"} & set(results)
    assert capsys.readouterr().out.startswith(f"saved captions on {data[1]} dev: 3 photos\n")


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="no Java on this machine")
def test_with_java_all_seven_metrics_are_written(data, saved, tmp_path, capsys):
    path, captions = saved
    output = tmp_path / "eval.json"
    assert main([*data, "--predictions_from", path, "--output", str(output)]) == 0
    results = read(output)
    assert results["tokenizer"] == "ptb"
    without = score_captions(REFERENCES, captions, java=False)
    assert {**results["metrics"], "METEOR": 0} == pytest.approx({**without, "METEOR": 0})
    assert 0.3 < results["metrics"]["METEOR"] < 0.9
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_ids_that_differ_are_listed_and_nothing_is_written(data, tmp_path, capsys):
    path = tmp_path / "p.jsonl"
    path.write_text('{"image_id": "red.jpg", "caption": "x"}\n')
    output = tmp_path / "eval.json"
    words = [*data, "--predictions_from", str(path), "--output", str(output), "--no_java"]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "evaluate-captioner: 2 images with references have no prediction: green.png, blue.webp; "
        "score a split against its own predictions\n"
    )
    assert not output.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "o"], "arguments are required: --data, or --references; see --help"),
        (["--data", "d"], "the following arguments are required: --output; see --help"),
        (
            ["--data", "d", "--output", "o", "--bema", "3"],
            "unrecognized arguments: --bema; see --help",
        ),
        (["--data", "d", "--output", "o", "--limit", "0"], "--limit: 0 is not 1 or more"),
        (
            ["--data", "d", "--output", "o", "--predictions_from", "p", "--beam_width", "2"],
            "--beam_width has no effect with --predictions_from",
        ),
        (
            ["a", "b", "--data", "d", "--output", "o", "--reliability", "r.png"],
            "--reliability draws the scores of one bundle",
        ),
        (
            ["--data", "d", "--output", "o", "--predictions_from", "p", "--precision", "float16"],
            "--precision has no effect with --predictions_from",
        ),
        (
            [
                "--data",
                "d",
                "--output",
                "o",
                "--precision",
                "float16",
                "--encoder_runtime",
                "onnxruntime",
            ],
            "encoder_runtime onnxruntime computes in float32 only, and precision is float16",
        ),
        (["--data", "nowhere", "--output", "o", "--no_java"], "nowhere: no such folder"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("evaluate-captioner: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_a_missing_bundle_and_a_missing_java_are_said_before_any_work(
    data, tmp_path, capsys, monkeypatch
):
    words = [*data, "--output", str(tmp_path / "eval.json")]
    assert main([*words, "--no_java", "--bundle", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(words) == 2
    assert "METEOR and the PTB tokenizer are Java programs" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_help_answers_without_loading_tensorflow():
    program = (
        "import sys; from train.evaluate_captioner import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'tensorflow', 'keras', 'tensorflow_datasets'} & set(sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "exit codes: 0 done; 2" in run.stdout
