"""`train-captioner`: its command line, and whole trainings, undisturbed and killed."""

import contextlib
import dataclasses
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from model_lib.bundle import load_bundle, read_bundle_info
from tests.train.toy_training import toy_command
from train.callbacks import read_history
from train.config import TrainConfig
from train.train_captioner import main

PHASES = ("1_cross_entropy", "2_fine_tuning", "3_self_critical")


@pytest.fixture(scope="module")
def places(shapes, encoder_path, tfds_dir, tmp_path_factory):
    """Makes the command of the toy training into a folder."""
    cache = tmp_path_factory.mktemp("cache") / "features"
    return lambda output: toy_command(shapes, encoder_path, output, tfds_dir, cache)


@pytest.fixture(scope="module")
def undisturbed(places, tmp_path_factory):
    """Output folder and printed lines of a whole training, without Java."""
    output, printed = tmp_path_factory.mktemp("runs") / "whole", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setenv("PATH", "")
        assert main(places(output)) == 0
    return output, printed.getvalue().splitlines()


@pytest.mark.slow
def test_a_training_leaves_a_bundle_that_captions(undisturbed, shape_data):
    output, printed = undisturbed
    captioner = load_bundle(str(output / "bundle"))
    info = captioner.info
    assert (info.name, info.model.width, info.decode.beam_width) == ("shapes", 16, 2)
    names = ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"]
    assert printed[-7:-1] == [f"{name:<8}{info.metrics[name]:8.4f}" for name in names]
    assert len(info.metrics) == len(names)
    assert printed[-1] == f"bundle: {output}/bundle"
    assert info.provenance["settings"]["seed"] == 3
    assert info.provenance["command"].startswith("train-captioner --data ")
    assert info.provenance["data_note"].endswith("(`--data_note`).")
    found = captioner.caption_bytes(list(shape_data["dev"].photos()))
    saved = [json.loads(line) for line in (output / "dev.predictions.jsonl").open()]
    assert [captions[0].text for captions in found] == [row["caption"] for row in saved]
    card = (output / "bundle" / "MODEL_CARD.md").read_text()
    assert card.startswith("# shapes\n")
    with Image.open(output / "learning_curve.png") as picture:
        assert picture.size == (1650, 396)


@pytest.mark.slow
def test_a_training_learns(undisturbed):
    words, tuning, rewards = (read_history(undisturbed[0] / phase) for phase in PHASES)
    assert [len(words), len(tuning), len(rewards)] == [4, 2, 3]
    assert tuning[-1]["word_loss"] < words[-1]["word_loss"]
    assert words[-1]["word_loss"] < 0.8 * words[0]["word_loss"]
    assert words[-1]["val_word_loss"] < words[0]["val_word_loss"]
    assert words[-1]["val_word_accuracy"] > words[0]["val_word_accuracy"]


def arrays(path):
    """All arrays of an HDF5 file by name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]} if hasattr(item, "shape") else {})
        )
    assert len(found) > 10
    return found


def run_until_killed(phase, epoch, words):
    run = subprocess.run(
        [sys.executable, "-m", "tests.train.toy_training", str(phase), str(epoch), *words],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_end(undisturbed, places, tmp_path, monkeypatch):
    whole, output = undisturbed[0], tmp_path / "killed"
    words = places(output)
    run_until_killed(1, 3, words)
    assert len(read_history(output / PHASES[0])) == 2
    assert not (output / PHASES[0] / "done.json").exists()
    run_until_killed(2, 2, [*words, "--resume"])
    assert (output / PHASES[0] / "done.json").exists()
    assert len(read_history(output / PHASES[1])) == 1
    assert not (output / PHASES[1] / "done.json").exists()
    run_until_killed(3, 2, [*words, "--resume"])
    assert (output / PHASES[1] / "done.json").exists()
    assert len(read_history(output / PHASES[2])) == 1
    assert not (output / "bundle").exists()
    monkeypatch.setenv("PATH", "")
    assert main([*words, "--resume"]) == 0
    for phase in PHASES:
        logs = [
            [{k: v for k, v in row.items() if k != "seconds"} for row in read_history(run / phase)]
            for run in (output, whole)
        ]
        assert logs[0] == logs[1]
        for name in ("best.weights.h5", "checkpoint/*/trainer.weights.h5"):
            [[found], [expected]] = [list((run / phase).glob(name)) for run in (output, whole)]
            assert found.relative_to(output) == expected.relative_to(whole)
            for (place, one), other in zip(
                arrays(found).items(), arrays(expected).values(), strict=True
            ):
                np.testing.assert_array_equal(one, other, err_msg=place)
    one, other = (read_bundle_info(str(run / "bundle")) for run in (output, whole))
    assert one.fingerprint == other.fingerprint
    assert one.metrics == other.metrics
    assert "--resume" not in one.provenance["command"]


@pytest.mark.slow
def test_an_output_in_use_is_refused(undisturbed, places, capsys):
    output = undisturbed[0]
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    assert main(places(output)) == 2
    assert capsys.readouterr().err == (
        f"train-captioner: {output} holds a training already: give --resume or another --output\n"
    )
    assert main([*places(output), "--resume", "--dropout", "0.5", "--limit", "9"]) == 2
    message = "(dropout: was 0.3, is 0.5, limit: was None, is 9)"
    assert message in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--output o", "the following arguments are required: --data; see --help"),
        ("--data d", "the following arguments are required: --output; see --help"),
        ("--data d --output o --epoch 3", "unrecognized arguments: --epoch 3"),
        ("--data d --output o --epochs three", "invalid int value: 'three'"),
        ("--data d --output o --epochs 0", "TrainConfig.epochs is 0; expected at least 1"),
        ("--data d --output o --limit 0", "argument --limit: 0 is not 1 or more"),
        ("--data d --output o --preset best", "argument --preset: invalid choice: 'best'"),
        ("--data d --output o --length_penalty 9", "DecodeConfig.length_penalty is 9.0"),
        ("--data d --output o --encoder no.keras", "--encoder no.keras: no such file"),
        ("--data d --output o --encoder a.keras --image_size 9", "--image_size has no effect"),
        ("--data no/such --output o", "no/such: no such folder of captioned photos"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_one_line(
    words, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("train-captioner: ")
    assert message in printed.err
    assert list(tmp_path.iterdir()) == []


def test_help_explains_every_setting(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(TrainConfig):
        assert f" --{field.name} " in text
    assert "exit codes: 0 done; 2 the command line or the data is wrong" in text
    assert "--resume go on after the last whole epoch" in text


def test_help_needs_no_tensorflow():
    program = (
        "import sys; from train.train_captioner import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(*sorted({'tensorflow', 'keras', 'jinja2'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[-1] == ""
