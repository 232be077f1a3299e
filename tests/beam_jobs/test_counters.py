import apache_beam as beam

from beam_jobs import counters
from beam_jobs.counters import JobCounts
from beam_jobs.records import Failure

COUNTS = JobCounts(
    listed=12,
    distinct=10,
    selected=8,
    captions=5,
    failures_by_type={("read", "FileNotFoundError"): 2, ("decode", "EmptyImageError"): 1},
    bytes_read=1000,
)


def count_one(number: int) -> None:
    counters.count(counters.LISTED)
    counters.count(counters.BYTES_READ, number)
    if number % 2:
        counters.count_failure(Failure("u", "read", "FileNotFoundError", "gone"))
    if number == 3:
        counters.count_failure(Failure("u", "decode", "EmptyImageError", "empty"))


def test_counters_of_a_run_are_read_back():
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | beam.Create([1, 2, 3]) | beam.Map(count_one)
    assert counters.read_counts(pipeline.run()) == JobCounts(
        listed=3,
        distinct=0,
        selected=0,
        captions=0,
        failures_by_type={("decode", "EmptyImageError"): 1, ("read", "FileNotFoundError"): 2},
        bytes_read=6,
    )


def test_sums_and_shares():
    assert (COUNTS.failures, COUNTS.failure_rate) == (3, 3 / 8)
    assert JobCounts(0, 0, 0, 0, {}, 0).failure_rate == 0.0


def test_what_adds_up_has_no_mismatch_and_what_does_not_is_said():
    assert COUNTS.mismatches(caption_rows=5, failure_rows=3) == []
    assert COUNTS.mismatches(caption_rows=4, failure_rows=4) == [
        "5 captions counted, 4 written",
        "3 failures counted, 4 written",
    ]
    lost = JobCounts(12, 10, 8, 4, COUNTS.failures_by_type, 0)
    assert lost.mismatches(caption_rows=4, failure_rows=3) == ["8 inputs became 7 rows"]
