import io
import json
import logging
import subprocess
import sys

import pytest

from beam_jobs import event_log
from beam_jobs.event_log import JsonFormatter, log_event, wants_json

MANIFEST = {
    "status": "succeeded",
    "elapsed_secs": 12.34,
    "images_per_sec": 4.0,
    "counts": {"captions": 40, "failures": 2},
    "failures_by_stage": {"read": {"NoCredentialsError": 2}},
    "mismatches": [],
    "versions": {"python": "3.11"},
}
PROGRAM = """
import logging, sys, threading, warnings
from beam_jobs import event_log

logging.basicConfig()
assert not event_log.is_on()
event_log.set_up()
assert event_log.is_on()
event_log.set_run_id("run-7")
event_log.log_event("run_started", "begins", inputs=["photos"])
logging.getLogger("beam_jobs.job").warning("slow\\nvery")
logging.getLogger("model_lib.bundle").info("loaded")
logging.getLogger("apache_beam").warning("of no interest")
logging.getLogger("apache_beam").error("--api_key SESAME")
warnings.warn("old", DeprecationWarning)
warnings.warn("odd")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise KeyError("caf\\udce9")
"""


@pytest.fixture
def lines():
    """What a handler with the JSON format writes in this test, line by line, parsed."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("run-1"))
    logger = logging.getLogger("beam_jobs")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)


def test_an_event_is_one_object_with_its_fields(lines):
    log_event("progress", "1 of 2 done", done=1, total=2, images_per_sec=None)
    [line] = lines()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "progress",
        "run_id": "run-1",
        "message": "1 of 2 done",
        "done": 1,
        "total": 2,
        "images_per_sec": None,
    }


def test_any_other_record_has_the_same_form(lines):
    try:
        raise OSError("disk\nfull")
    except OSError:
        logging.getLogger("beam_jobs.job").exception("cannot write %s", "x")
    [line] = lines()
    assert (line["event"], line["logger"], line["level"]) == ("log", "beam_jobs.job", "error")
    assert line["message"] == "cannot write x"
    assert line["traceback"].startswith("Traceback")
    assert line["traceback"].endswith("OSError: disk\nfull")


def test_secrets_and_what_json_has_no_word_for(lines):
    log_event("x", "--password=SESAME", password="SESAME", n=float("nan"), s="\udce9", run_id="2")
    [line] = lines()
    assert line["message"] == "--password=HIDDEN"
    assert (line["password"], line["n"], line["s"]) == ("HIDDEN", None, "\\udce9")
    assert line["run_id"] == "run-1"


def test_the_start_of_a_run_says_what_it_is(lines):
    bundle = {"path": "b", "name": "toy", "fingerprint": "ff"}
    event_log.log_run_started(
        "run-2", inputs=("photos",), output="gs://b/out", bundle=bundle, earlier_runs=1
    )
    [line] = lines()
    line.pop("time")
    assert line == {
        "level": "info",
        "event": "run_started",
        "run_id": "run-1",
        "message": "run run-2 begins",
        "inputs": ["photos"],
        "output": "gs://b/out",
        "bundle": bundle,
        "earlier_runs": 1,
    }


def test_the_end_of_a_run_says_how_it_ended(lines):
    event_log.log_run_finished(MANIFEST, {"captions": "out/captions/*.parquet"})
    event_log.log_run_failed(OSError("disk full"), 1)
    event_log.log_run_failed("no images were found", 2)
    finished, failed, empty = lines()
    assert finished["event"] == "run_finished"
    assert finished["message"] == "40 captions, 2 failures in 12.3 s"
    assert finished["counts"] == MANIFEST["counts"]
    assert finished["failures_by_stage"] == MANIFEST["failures_by_stage"]
    assert finished["outputs"] == {"captions": "out/captions/*.parquet"}
    assert "versions" not in finished
    for line, expected in (
        (failed, ("run_failed", "error", "disk full", 1, "OSError")),
        (empty, ("run_failed", "error", "no images were found", 2, None)),
    ):
        names = ("event", "level", "message", "exit_code", "error_type")
        assert tuple(line[name] for name in names) == expected


def test_all_that_python_writes_to_stderr_is_json():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    found = [json.loads(line) for line in run.stderr.splitlines()]
    assert {line["run_id"] for line in found} == {"run-7"}
    assert [(line["event"], line["level"], line["message"].split("\n")[0]) for line in found] == [
        ("run_started", "info", "begins"),
        ("log", "warning", "slow"),
        ("log", "info", "loaded"),
        ("log", "error", "--api_key HIDDEN"),
        ("log", "warning", found[4]["message"].split("\n")[0]),
        ("log", "warning", found[5]["message"].split("\n")[0]),
        ("crashed", "critical", "division by zero"),
        ("crashed", "critical", "'caf\\udce9'"),
    ]
    assert found[4]["message"].startswith("<string>:15: DeprecationWarning: old")
    assert found[5]["message"].startswith("<string>:16: UserWarning: odd")
    assert found[-1]["error_type"] == "KeyError"
    assert "Traceback" in found[-1]["traceback"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--log_format", "json", "--inptu", "x"], True),
        (["--input", "x", "--log-format=json"], True),
        (["--log_format", "text"], False),
        (["--input", "json"], False),
        ([], False),
    ],
)
def test_a_command_line_with_mistakes_still_tells_which_lines_it_wants(words, expected):
    assert wants_json(words) == expected
