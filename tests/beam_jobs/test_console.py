import io
import logging
import threading

import pytest

from beam_jobs import console
from beam_jobs.progress import Progress
from beam_jobs.records import CAPTIONS
from beam_jobs.sinks import table_to_parquet
from tests.beam_jobs.test_records import CAPTION_ROW

COUNTS = {"captions": 7, "failures": 8, "duplicates": 1, "left_out_by_limit": 0}
FAILURES = {"read": {f"Error{number}": 1 for number in range(5)}, "decode": {"EmptyImageError": 3}}


@pytest.fixture
def output(tmp_path) -> str:
    import pyarrow as pa

    rows = [{**CAPTION_ROW, "uri": f"{'x' * 40}/{number}.jpg"} for number in (6, 5, 4, 3, 2, 1, 0)]
    (tmp_path / "captions").mkdir()
    table = pa.Table.from_pylist(rows, schema=CAPTIONS.arrow_schema())
    (tmp_path / "captions" / "a.parquet").write_bytes(table_to_parquet(table))
    return str(tmp_path)


def test_speed_and_time_left_are_measured_from_the_first_image():
    times = iter([100.0, 110.0, 110.0])
    speed = console.Speedometer(lambda: next(times))
    assert speed.text(Progress(total=50)) == "50 found"
    assert speed.text(Progress(50, 10, 1)) == "1 failed"
    assert speed.text(Progress(50, 30, 2)) == "2.0 images/s, 0:00:10 left, 2 failed"
    assert speed.text(Progress(50, 50, 2)) == "4.0 images/s, 0:00:00 left, 2 failed"


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


def test_log_lines_say_the_same(caplog):
    finished = threading.Event()

    def read() -> Progress:
        finished.set()
        return Progress(8, 4, 1)

    with caplog.at_level(logging.INFO, "beam_jobs.console"):
        console.log_lines(read, finished, every_secs=0.01)
    assert caplog.messages == ["4 of 8 done, 1 failed"]


def test_the_table_shows_a_few_captions_and_where_the_files_are(output):
    manifest = {
        "counts": COUNTS,
        "elapsed_secs": 3.0,
        "images_per_sec": 2.5,
        "failures_by_stage": FAILURES,
        "report": None,
    }
    uris = [f"...{'x' * 25}/{number}.jpg" for number in range(5)]
    assert list(console.summary(output, manifest)) == [
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


def test_a_run_without_captions_has_a_table_too(tmp_path):
    manifest = {
        "counts": {"captions": 0, "failures": 0, "duplicates": 0, "left_out_by_limit": 0},
        "elapsed_secs": 3.0,
        "images_per_sec": 0.0,
        "failures_by_stage": {},
        "report": "report.html",
    }
    assert list(console.summary(str(tmp_path), manifest))[-2:] == [
        f"manifest:  {tmp_path}/manifest.json",
        f"report:    {tmp_path}/report.html",
    ]
