import io
import logging
import threading

import pytest

from beam_jobs import console
from beam_jobs.progress import Progress
from tests.beam_jobs.report.test_tables import write_json_lines
from tests.beam_jobs.run_folder import write_tables
from tests.beam_jobs.test_records import CAPTION_ROW

COUNTS = {
    "captions": 7,
    "failures": 8,
    "duplicates": 1,
    "left_out_by_limit": 0,
    "captions_of_this_run": 2,
    "failures_of_this_run": 1,
    "done_by_earlier_runs": 12,
    "retried": 3,
}
FAILURES = {"read": {f"Error{number}": 1 for number in range(5)}, "decode": {"EmptyImageError": 3}}


@pytest.fixture
def output(tmp_path) -> str:
    rows = [{**CAPTION_ROW, "uri": f"{'x' * 40}/{number}.jpg"} for number in (6, 5, 4, 3, 2, 1, 0)]
    return write_tables(tmp_path, rows, num_files=1)


def summary(output, **changes) -> list[str]:
    manifest = {
        "counts": COUNTS,
        "elapsed_secs": 3.0,
        "images_per_sec": 2.5,
        "failures_by_stage": FAILURES,
        "report": None,
        "settings": {"output_format": "parquet", "output_table": None},
        "runs": [{"run_id": "r1"}],
    }
    return list(console.summary(output, {**manifest, **changes}))


def test_speed_and_time_left_are_measured_from_the_first_image():
    times = iter([100.0, 110.0, 110.0])
    speed = console.Speedometer(lambda: next(times))

    def text(*counts: int) -> str:
        progress = Progress(*counts)
        return console.speed_text(progress, speed.rate(progress))

    assert text(50) == "50 found"
    assert text(50, 10, 1) == "1 failed"
    assert text(50, 30, 2) == "2.0 images/s, 0:00:10 left, 2 failed"
    assert text(50, 50, 2) == "4.0 images/s, 0:00:00 left, 2 failed"


def test_the_line_tells_done_total_speed_and_failures():
    stream, finished = io.StringIO(), threading.Event()
    steps = iter([Progress(), Progress(8), Progress(8, 4, 1), Progress(8, 8, 2)])

    def read() -> Progress:
        progress = next(steps)
        if progress.done == 4:
            finished.set()
        return progress

    console.show_line(read, finished, stream)
    lines = [line.strip() for line in stream.getvalue().split("\r") if line.strip()]
    assert any(line.startswith("starting 0/8 |") and line.endswith("8 found") for line in lines)
    assert any(line.startswith("captioning 4/8 |") and line.endswith("1 failed") for line in lines)
    assert lines[-1].startswith("captioning 8/8 |####")
    assert lines[-1].endswith("0:00:00 left, 2 failed")


def test_log_lines_say_the_same_and_carry_it_as_fields(caplog):
    finished = threading.Event()
    steps = iter([Progress(8), Progress(8, 2), Progress(8, 4, 1)])

    def read() -> Progress:
        progress = next(steps)
        if progress.done == 4:
            finished.set()
        return progress

    with caplog.at_level(logging.INFO, "beam_jobs"):
        console.log_lines(read, finished, every_secs=0.01)
    found, first, last = caplog.records
    assert found.message == "0 of 8 done, 8 found"
    assert first.message == "2 of 8 done, 0 failed"
    assert first.event == "progress"
    assert first.fields == {
        "total": 8,
        "done": 2,
        "failed": 0,
        "images_per_sec": None,
        "secs_left": None,
    }
    assert last.message.startswith("4 of 8 done, ")
    assert last.message.endswith(" left, 1 failed")
    assert 0 < last.fields["images_per_sec"] <= 2 / 0.01
    assert last.fields["secs_left"] == pytest.approx(4 / last.fields["images_per_sec"], abs=0.1)


def test_the_table_shows_a_few_captions_and_where_the_files_are(output):
    uris = [f"...{'x' * 25}/{number}.jpg" for number in range(5)]
    assert summary(output) == [
        "",
        *(f"  {uri}   -0.50  a dog" for uri in uris),
        "  ... and 2 more",
        "",
        "7 captions, 8 failures in 3.0 s (2.5 images/s); 1 duplicates, 0 left out by --limit",
        "       3  EmptyImageError (decode)",
        *(f"       1  Error{number} (read)" for number in range(4)),
        "          and 1 more kinds, see the failures table",
        f"captions:  {output}/captions/*.parquet",
        f"failures:  {output}/failures/*.parquet",
        f"manifest:  {output}/manifest.json",
    ]


def test_a_resumed_run_tells_what_it_found_and_what_it_did(output):
    lines = summary(output, runs=[{"run_id": "r1"}, {"run_id": "r2"}], failures_by_stage={})
    assert lines[8:10] == [
        "7 captions, 8 failures in 3.0 s (2.5 images/s); 1 duplicates, 0 left out by --limit",
        "run 2 of this job: 2 captions, 1 failures; 12 done by earlier runs, 3 of their failures "
        "tried again",
    ]


def test_json_lines_and_a_table_in_bigquery_are_shown_too(tmp_path):
    output = write_json_lines(tmp_path, [CAPTION_ROW])
    settings = {"output_format": "jsonl", "output_table": "p:d.captions"}
    lines = summary(output, settings=settings, failures_by_stage={})
    assert lines[1] == f"  {'a.jpg':<34}   -0.50  a dog"
    assert lines[-4:] == [
        f"captions:  {output}/captions/*.jsonl",
        f"failures:  {output}/failures/*.jsonl",
        "bigquery:  p:d.captions",
        f"manifest:  {output}/manifest.json",
    ]


def test_rows_that_went_to_bigquery_only_have_a_table_too():
    settings = {"output_format": "parquet", "output_table": "p:d.captions"}
    assert summary(None, settings=settings, failures_by_stage={}) == [
        "7 captions, 8 failures in 3.0 s (2.5 images/s); 1 duplicates, 0 left out by --limit",
        "bigquery:  p:d.captions",
    ]


def test_a_run_without_captions_has_a_table_too(tmp_path):
    counts = {**COUNTS, "captions": 0, "failures": 0}
    lines = summary(str(tmp_path), counts=counts, failures_by_stage={}, report="report.html")
    assert lines[-2:] == [
        f"manifest:  {tmp_path}/manifest.json",
        f"report:    {tmp_path}/report.html",
    ]
