import functools
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import pyarrow.parquet as pq
import pytest

from beam_jobs.caption_images import main
from tests.images import good_images

AS_MODULE = ("-m", "beam_jobs.caption_images")


@pytest.fixture
def words(toy_bundle, tmp_path) -> list[str]:
    (tmp_path / "photos").mkdir()
    for name in ("rgb.jpg", "rgba.png", "lossy.webp"):
        (tmp_path / "photos" / name).write_bytes(good_images()[name])
    (tmp_path / "photos" / "empty.jpg").touch()
    return ["--input", f"{tmp_path}/photos", "--output", f"{tmp_path}/out", "--bundle", toy_bundle]


def test_a_run_prints_the_table_and_ends_with_0(words, tmp_path, capsys):
    assert main([*words, "--no_report"]) == 0
    shown = capsys.readouterr()
    assert "3 captions, 1 failures in " in shown.out
    assert "EmptyImageError (decode)" in shown.out
    assert f"captions:  {tmp_path}/out/captions/*.parquet" in shown.out
    assert shown.err == ""


def test_quiet_prints_nothing(words, capsys):
    assert main([*words, "--no_report", "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_too_many_failures_end_with_1_and_everything_is_written(words, tmp_path, capsys):
    assert main([*words, "--no_report", "--max-failure-rate", "0.2"]) == 1
    assert capsys.readouterr().err == (
        "caption-images: 1 of 4 images failed, which is more than --max_failure_rate 0.2; "
        "everything is written all the same\n"
    )
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "too_many_failures"
    assert pq.read_table(tmp_path / "out" / "captions").num_rows == 3
    assert pq.read_table(tmp_path / "out" / "failures").num_rows == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--beam_widht", "3"], "unknown flag --beam_widht; did you mean --beam_width?"),
        (["--top_k", "3"], "top_k has no effect with beam decoding, only with sample"),
        (["--input", "nowhere"], "--input nowhere: there is no such folder or file"),
        (["--bundle", "nowhere"], "nowhere/bundle.json: cannot be read"),
        (["--output", "."], f"--output {os.getcwd()}: is not empty; choose another folder, say"),
        (["--runner", "NoRunner"], "Beam's options: Unexpected pipeline runner: NoRunner"),
        (["--batch_size", "0"], "argument --batch_size: is '0'; expected auto, or at least 1"),
    ],
)
def test_a_caller_s_mistake_is_one_line_and_2(words, tmp_path, capsys, changes, message):
    assert main([*words, *changes]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"caption-images: {message}")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_list_of_nothing_is_a_mistake_too(words, tmp_path, capsys):
    (tmp_path / "list.txt").write_text("# nothing yet\n\n")
    assert main(["--input", f"@{tmp_path}/list.txt", *words[2:], "--no_report"]) == 2
    assert capsys.readouterr().err == "caption-images: no images were found in --input\n"


def test_an_output_that_cannot_be_written_ends_with_1(words, capsys):
    assert main([*words, "--output", "/proc/nothing/out"]) == 1
    assert capsys.readouterr().err.startswith("caption-images: ")


def test_decode_flags_reach_the_rows(words, tmp_path):
    flags = "--decode sample --num_captions 3 --top_k 5 --seed 7 --temperature 1.5 --no_report"
    assert main([*words, *flags.split()]) == 0
    rows = pq.read_table(tmp_path / "out" / "captions").to_pylist()
    assert [len(row["candidates"]) for row in rows] == [3, 3, 3]
    decode = json.loads(rows[0]["decode_config"])
    assert {name: decode[name] for name in ("method", "top_k", "seed", "temperature")} == {
        "method": "sample",
        "top_k": 5,
        "seed": 7,
        "temperature": 1.5,
    }


@pytest.mark.slow
def test_workers_are_processes_that_share_the_work(words, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    assert main([*words, "--no_report", "--workers", "2"]) == 0
    assert capfd.readouterr().err == ""
    rows = pq.read_table(tmp_path / "out" / "captions").to_pylist()
    assert main([*words, "--no_report", "--overwrite"]) == 0
    again = pq.read_table(tmp_path / "out" / "captions").to_pylist()
    assert {row["uri"]: row["caption"] for row in rows} == {
        row["uri"]: row["caption"] for row in again
    }
    assert len(rows) == 3


def test_help_ends_with_0(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "usage: caption-images" in capsys.readouterr().out


def start(words: list[str], program: Sequence[str] = AS_MODULE, **streams) -> subprocess.Popen:
    command = [sys.executable, *program, *words, "--no_report"]
    # Tests that run in a shell's background inherit an ignored ctrl-C; a person's terminal has one.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(command, preexec_fn=heed, **streams)


@pytest.mark.slow
def test_a_terminal_shows_the_line_and_no_start_up_noise(words):
    ours, theirs = pty.openpty()
    with start(words, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    text = shown.decode()
    assert process.returncode == 0
    assert "captioning 4/4 |" in text
    assert "1 failed" in text
    assert "oneDNN" not in text
    assert "Traceback" not in text


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupted_run_ends_with_130_and_no_manifest(words, tmp_path, web, workers):
    # Python's end, while the pipeline is at work in its threads, aborts the process or waits for
    # ever, but seldom: that it has begun is what shows each time.
    program = "import atexit; atexit.register(print, 'the end of Python has begun');"
    program += "from beam_jobs.caption_images import run_as_process; run_as_process()"
    slow = ["--allow_private_addresses", "--workers", workers]
    slow += [flag for _ in range(40) for flag in ("--input", web.url(f"slow.jpg/{_}"))]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    group = {"start_new_session": True}
    with start([*words, *slow], ["-c", program], **streams, **group) as run:
        deadline = time.monotonic() + 300
        while not web.requests and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        shown = run.communicate(timeout=300)
    assert run.returncode == 130
    message = "caption-images: interrupted; what was committed stays, go on with --resume\n"
    # Workers hold these streams too, so none is left when they have ended.
    assert shown == ("", message)
    assert not (tmp_path / "out" / "manifest.json").exists()
