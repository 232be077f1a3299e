"""The programs' own arithmetic, on made-up measurements."""

import datetime
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import throughput
from benchmarks.growth import growth_rows
from benchmarks.job_parts import Parts, part_rows, read_parts
from benchmarks.jobs import seconds_an_image, without_start
from benchmarks.startup import STAGES, startup_rows
from benchmarks.workers import LAYOUTS, worker_rows


def test_throughput_rows():
    seconds = {
        "encoder": [1.0, 2.0],
        "captioner greedy": [2.0, 4.0],
        "captioner beam 3": [4.0, 4.0],
        "captioner float16": [1.0, 1.0],
        "job 224x224": [0.03125, 0.0625],  # an image
        "captioner after 224x224": [6.0, 4.0],
        "job 640x480": [0.0625, 0.125],
        "captioner after 640x480": [2.0, 4.0],
    }
    found = throughput.speeds(seconds, images=64)
    assert found["captioner greedy"] == [32.0, 16.0]
    assert found["job 224x224"] == [32.0, 16.0]
    rows = {row.key: row.values for row in throughput.ratio_rows(found)}
    assert rows == {
        "captioner": (0.5, 0.5),
        "captioner_beam": (0.25, 0.5),
        "float16": (2.0, 4.0),
        "job_224": (2.0, 1.0),  # the captioner took 4 s for 64 before and after, on average
        "job_640": (1.0, 0.5),
    }


def test_too_few_images_are_said():
    with pytest.raises(SystemExit, match="too few --images"):
        without_start([3.0, 2.0], [2.5])


def test_part_rows_add_up():
    seconds = {"at once": [8.0, 16.0], "batches": [8.8, 16.0]}
    parts = [Parts(1.25, 1.0625, 0.125), Parts(2.5, 2.0, 0.5)]
    rows = {row.key: row for row in part_rows(seconds, {"224x224": parts}, images=8)}
    assert {key: row.values for key, row in rows.items()} == {
        "batches": (1.1, 1.0),
        "whole_224x224": (1.25, 1.25),
        "captioning_224x224": (1.0625, 1.0),
        "decoding_224x224": (0.125, 0.25),
        "rest_224x224": (0.0625, 0.0),
    }
    assert all(row.target is None for row in rows.values())


def test_growth_rows():
    seconds = {"start": [10.0], "small": [20.0], "large": [121.0]}
    peaks = {"start": [1], "small": [900_000_000], "large": [950_000_000]}
    counts = {"start": 10, "small": 110, "large": 1110}
    time_row, memory_row = growth_rows(seconds, peaks, counts)
    assert time_row.values == pytest.approx((111 / 1100 / (10 / 100),))
    assert time_row.is_met is True
    assert memory_row.values == (50.0,)
    assert memory_row.what == "peak memory at 1,110 inputs more than at 110"


def test_startup_rows_add_up():
    rows = startup_rows([dict.fromkeys(STAGES, 1.0), dict.fromkeys(STAGES, 2.0)])
    assert rows[0].values == (7.0, 14.0)
    assert rows[0].is_met is False
    assert [row.key for row in rows[1:]] == list(STAGES)


def test_worker_rows():
    each = {"threads": [0.02], "one": [0.03], "two": [0.016], "two_sharing": [0.04]}
    peaks = {"threads": [800e6], "one": [1000e6], "two": [1700e6], "two_sharing": [2000e6]}
    rows = {row.key: row.value for row in worker_rows(each, peaks)}
    assert rows == {
        "two": pytest.approx(1.25),
        "two_sharing": pytest.approx(0.5),
        "memory_two": 700.0,
        "memory_two_sharing": 1000.0,
        "memory_one": 1000.0,
        "memory_threads": 800.0,
    }


def test_layouts_set_threads():
    assert LAYOUTS["two"].environment() == {
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def write_captions(output: Path, secs: list[float]) -> None:
    start = datetime.datetime(2026, 11, 23, tzinfo=datetime.timezone.utc)
    times = [start + datetime.timedelta(seconds=value) for value in secs]
    (output / "captions").mkdir()
    table = pa.table({"captioned_at": pa.array(times, pa.timestamp("us", tz="UTC"))})
    pq.write_table(table, output / "captions" / "a.parquet")


def test_parts_of_a_job_leave_its_first_batch_out(tmp_path):
    write_captions(tmp_path, [5.0, 5.0, 7.0, 7.0, 9.0, 9.0])
    # Batches of two: the first took 4 s, the others 1.5 s each; an image decodes in 0.5 s.
    latencies = {"caption": {"count": 3, "mean": 7000 / 3, "max": 4000}, "decode": {"mean": 500}}
    manifest = {"metrics": {"latency_ms": latencies}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    found = read_parts(tmp_path, batch_size=2, cores=2)
    assert found == Parts(pytest.approx(1.0), pytest.approx(0.75), pytest.approx(0.25))


def test_seconds_an_image_leave_the_first_rows_out(tmp_path):
    write_captions(tmp_path, [5.0, 5.0, 7.0, 7.0, 9.0, 9.0])
    assert seconds_an_image(tmp_path, warm_up=2) == pytest.approx(1.0)
    with pytest.raises(SystemExit, match="6 rows; more than 6 are needed"):
        seconds_an_image(tmp_path, warm_up=6)


def test_a_gpu_that_is_not_there_is_said(capsys, monkeypatch):
    monkeypatch.setattr(throughput.tf.config, "list_physical_devices", lambda kind: [])
    assert throughput.main(["--device", "gpu"]) == 2
    shown = capsys.readouterr()
    assert "TensorFlow sees no GPU here" in shown.err
    assert all(line in shown.out for line in throughput.GPU_PLAN)
