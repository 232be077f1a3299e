import time

import apache_beam as beam
import pytest

from beam_jobs import counters
from beam_jobs.counters import JobCounts, metrics_section, read_counts
from beam_jobs.latency import Summary
from beam_jobs.records import Failure
from tests.beam_jobs.test_beam_metrics import NoMetrics

COUNTS = JobCounts(
    listed=12,
    distinct=10,
    selected=8,
    captions=3,
    failures_by_type={("read", "FileNotFoundError"): 2, ("decode", "EmptyImageError"): 1},
    bytes_read=1000,
    skipped=2,
    other_rows=4,
)


def count_one(number: int) -> None:
    counters.count(counters.LISTED)
    counters.count(counters.BYTES_READ, number)
    if number % 2:
        counters.count_failure(Failure("u", "read", "FileNotFoundError", "gone"))
    if number == 3:
        counters.count_failure(Failure("u", "decode", "EmptyImageError", "empty"))


def run(step) -> JobCounts:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | beam.Create([1, 2, 3]) | beam.Map(step)
    return read_counts(pipeline.run())


def test_counters_of_a_run_are_read_back():
    assert run(count_one) == JobCounts(
        listed=3,
        failures_by_type={("decode", "EmptyImageError"): 1, ("read", "FileNotFoundError"): 2},
        bytes_read=6,
    )


@pytest.mark.parametrize(
    "name",
    [
        counters.LISTED,
        counters.DISTINCT,
        counters.SELECTED,
        counters.SKIPPED,
        counters.RETRIED,
        counters.OTHER_ROWS,
        counters.BAD_ROWS,
        counters.IMAGES_READ,
        counters.IMAGES_DECODED,
        counters.BYTES_READ,
        counters.CAPTIONS,
    ],
)
def test_every_counter_is_a_field(name):
    assert run(lambda number: counters.count(name, 2)) == JobCounts(**{name: 6})


def test_latencies_sizes_and_memory_of_a_run_are_read_back():
    def caption(number: int) -> None:
        time.sleep(0.05)
        counters.observe(counters.CAPTION_MS, 50.0)
        counters.observe(counters.BATCH_IMAGES, 32)
        counters.observe_peak_memory()

    found = run(caption)
    assert found.distributions == {
        "batch_images": Summary(3, 32.0, 32.0, 32.0, 32.0, 32.0),
        "caption_ms": Summary(3, 50.0, 50.0, 50.0, 50.0, 50.0),
    }
    assert found.peak_memory_bytes > 50_000_000
    assert 0.13 <= found.captioning_secs < 10.0
    assert found.known


def test_an_engine_without_metrics_is_no_mismatch():
    found = read_counts(NoMetrics())
    assert found == JobCounts(known=False)
    assert found.mismatches(caption_rows=5, failure_rows=3) == []


def test_sums_and_shares():
    assert (COUNTS.failures, COUNTS.to_do, COUNTS.failure_rate) == (3, 6, 3 / 6)
    assert JobCounts().failure_rate == 0.0


def test_what_adds_up_has_no_mismatch_and_what_does_not_is_said():
    assert COUNTS.mismatches(caption_rows=9, failure_rows=3) == []
    assert COUNTS.mismatches(caption_rows=8, failure_rows=3) == [
        "8 inputs and 4 rows of other inputs should give 12 rows, 11 are published"
    ]
    lost = JobCounts(selected=8, captions=4, failures_by_type=COUNTS.failures_by_type)
    assert lost.mismatches(caption_rows=5, failure_rows=3) == [
        "8 inputs were to do, 4 captions and 3 failures were counted"
    ]


def test_the_manifest_s_section_says_all_that_was_measured():
    batches = Summary(2, 24.0, 16.0, 32.0, 24.0, 31.5)
    counts = JobCounts(
        captions=48,
        images_read=50,
        images_decoded=49,
        distributions={
            "batch_images": batches,
            "caption_ms": Summary(2, 400.12345, 300.0, 500.0, 400.0, 490.0),
            "read_ms": Summary(50, 2.0, 1.0, 9.0, 2.0, 8.0),
        },
        peak_memory_bytes=900,
        captioning_secs=6.0,
    )
    section = metrics_section(counts, 12.0, 700)
    assert section == {
        "known": True,
        "images_per_sec": {"whole_run": 4.0, "captioning": 8.0},
        "captioning_secs": 6.0,
        "latency_ms": {
            "read": {"count": 50, "mean": 2.0, "min": 1.0, "max": 9.0, "p50": 2.0, "p95": 8.0},
            "caption": {
                "count": 2,
                "mean": 400.123,
                "min": 300.0,
                "max": 500.0,
                "p50": 400.0,
                "p95": 490.0,
            },
        },
        "batch_images": {
            "count": 2,
            "mean": 24.0,
            "min": 16.0,
            "max": 32.0,
            "p50": 24.0,
            "p95": 31.5,
        },
        "images_read": 50,
        "images_decoded": 49,
        "peak_memory_bytes": {"launcher": 700, "worker": 900},
    }
    assert list(section["latency_ms"]) == ["read", "caption"]


def test_what_is_not_known_is_null_in_the_manifest():
    section = metrics_section(JobCounts(known=False), 0.0)
    assert section["images_per_sec"] == {"whole_run": None, "captioning": None}
    assert section["captioning_secs"] is None
    assert section["peak_memory_bytes"]["worker"] is None
    assert section["peak_memory_bytes"]["launcher"] > 50_000_000


def test_observing_costs_an_image_a_few_microseconds():
    def observe_many(number: int) -> None:
        started_secs = time.perf_counter()
        for _ in range(5000):
            counters.observe(counters.READ_MS, 12.5)
            counters.observe(counters.DECODE_MS, 4.5)
            counters.count(counters.CAPTIONS)
        cost_secs = (time.perf_counter() - started_secs) / 5000
        counters.observe("cost_us", cost_secs * 1e6)

    # 2 microseconds where this was written; the limit leaves room for a busy machine.
    assert run(observe_many).distributions["cost_us"].min < 40
