"""The command `export-captioner`, with a toy bundle."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from model_lib.bundle import load_bundle, read_bundle_info
from model_lib.config import DecodeConfig
from model_lib.export import Exported
from tests.fresh_python import run_fresh
from tests.images import good_images
from train import export_captioner
from train.export_captioner import build_parser, main


def captions(folder: Path, data: bytes) -> list[str]:
    run = tf.saved_model.load(str(folder)).signatures["serving_default"]
    rows = run(image_bytes=tf.constant([data]))["candidates"].numpy().tolist()
    return [text.decode() for text in rows[0]]


def test_a_bundle_is_exported_with_the_flags_decoding(toy_bundle, tmp_path, capsys):
    output = tmp_path / "models" / "toy"
    flags = ["--version", "7", "--beam-width=2", "--num_captions", "2", "--format", "savedmodel"]
    assert main([toy_bundle, str(output), *flags]) == 0
    info, folder = read_bundle_info(toy_bundle), output / "7"
    decode = info.decode.with_changes(beam_width=2, num_captions=2)
    data = good_images()["rgb.png"]
    expected = [
        caption.text for caption in load_bundle(toy_bundle).caption_bytes([data], decode)[0]
    ]
    assert captions(folder, data) == expected
    assert json.loads((folder / "assets.extra/export.json").read_text())["decode"] == (
        decode.to_dict()
    )
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"{folder}: toy {info.fingerprint[:12]}, 0.")
    assert printed[1:] == [
        f"captions: {decode.to_json()}",
        "checked: loaded with tf.saved_model.load; 8 drawn pictures, as PNG and as pixels, have "
        "the captioner's captions and scores",
        f"signatures: saved_model_cli show --dir {folder} --tag_set serve --all",
    ]
    assert os.listdir(output) == ["7"]


@pytest.mark.slow
def test_of_tensorflow_s_start_nothing_is_seen(toy_bundle, tmp_path):
    words = [toy_bundle, str(tmp_path / "out")]
    program = f"import sys; from train.export_captioner import main; sys.exit(main({words}))"
    run = run_fresh(program, {})
    assert run.stdout.startswith(f"{tmp_path}/out: toy ")
    for start in ("oneDNN custom operations", "cudart", "cuInit", "absl::InitializeLog"):
        assert start not in run.stderr


def test_what_is_said_of_sampled_captions(toy_bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "model_lib.export.export_savedmodel",
        lambda bundle, folder, decode: Exported(
            Path(folder), read_bundle_info(bundle), decode, 1_000_000, 8
        ),
    )
    output = tmp_path / "out"
    assert main([toy_bundle, str(output), "--decode", "sample", "--num_captions=2"]) == 0
    printed = capsys.readouterr().out
    assert ", 1.0 MB\n" in printed
    assert "8 drawn pictures, as PNG and as pixels, have equal captions (their random" in printed


def test_the_shipped_bundle_has_a_name(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        "model_lib.export.export_savedmodel", lambda *arguments: asked.append(arguments)
    )
    export_captioner.export(build_parser().parse(["default", str(tmp_path / "out")]))
    bundle, folder, decode = asked[0]
    assert Path(bundle).name == "flickr8k-small"
    assert folder == str(tmp_path / "out")
    assert decode == read_bundle_info(bundle).decode


def test_every_decode_setting_has_a_flag(toy_bundle):
    flags = vars(build_parser().parse([toy_bundle, "out"]))
    settings = {"decode" if name == "method" else name for name in vars(DecodeConfig())}
    assert set(flags) == {"bundle", "output", "format", "version", *settings}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["{taken}"], "is there already and not an empty folder: give another one"),
        (["{taken}", "--version", "1"], "1 is there already"),
        (["gs://bucket/out"], "gs://bucket/out: exports are written locally"),
        (["{out}", "--decode", "greedy", "--beam_width", "2"], "beam_width has no effect"),
        (["{out}", "--num_captions", "9"], "more than beam_width"),
        (["{out}", "--version", "0"], "--version: 0 is not 1 or more"),
        (["{out}", "--format", "tflite"], "invalid choice: 'tflite'"),
        (["{out}", "--beam"], "unrecognized arguments: --beam"),
        ([], "the following arguments are required: OUT"),
    ],
)
def test_mistakes(toy_bundle, tmp_path, capsys, flags, message):
    taken = tmp_path / "taken"
    (taken / "1").mkdir(parents=True)
    (taken / "1" / "saved_model.pb").touch()
    words = [flag.format(taken=taken, out=tmp_path / "out") for flag in flags]
    assert main([toy_bundle, *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("export-captioner: ")
    assert message in error
    assert error.count("\n") == 1
    assert os.listdir(tmp_path) == ["taken"]


def test_a_missing_bundle(tmp_path, capsys):
    assert main([str(tmp_path / "none"), str(tmp_path / "out")]) == 2
    assert "none/bundle.json: cannot be read" in capsys.readouterr().err


def test_help_needs_no_tensorflow():
    program = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from train.export_captioner import main; main(['--help'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "export-captioner my_bundle/ models/captioner --version 2" in run.stdout
