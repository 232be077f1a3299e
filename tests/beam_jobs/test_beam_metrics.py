import threading

import apache_beam as beam

from beam_jobs import beam_metrics
from beam_jobs.beam_metrics import Measured, Span, read_metrics
from beam_jobs.latency import Summary


def measure(number: int) -> None:
    beam_metrics.add_to_counter("seen", number)
    beam_metrics.add_to_span("ends", 10 * number)
    beam_metrics.add_to_distribution("wait_ms", 20.0 * number)


def run(*steps) -> Measured | None:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    numbers = pipeline | beam.Create([1, 2, 3])
    for at, step in enumerate(steps):
        _ = numbers | f"step {at}" >> beam.Map(step)
    return read_metrics(pipeline.run())


def test_what_several_steps_count_is_summed_up():
    measured = run(measure, measure)
    assert measured.sums == {
        "seen": 12,
        "wait_ms/bucket_12": 2,
        "wait_ms/bucket_14": 4,
    }
    assert measured.spans == {
        "ends": Span(6, 120, 10, 30),
        "wait_ms": Span(6, 240_000, 20_000, 60_000),
    }
    found = measured.summary("wait_ms")
    assert (found.count, found.mean, found.min, found.max) == (6, 40.0, 20.0, 60.0)
    assert found.min < found.p50 < found.p95 < found.max


def test_fractions_of_a_millisecond_are_kept():
    measured = run(lambda number: beam_metrics.add_to_distribution("fast_ms", 0.25))
    assert measured.summary("fast_ms") == Summary(3, 0.25, 0.25, 0.25, 0.25, 0.25)


def test_an_engine_that_loses_the_buckets_still_gives_a_summary():
    measured = Measured({}, {"wait_ms": Span(2, 30_000, 10_000, 20_000)})
    assert measured.summary("wait_ms") == Summary(2, 15.0, 10.0, 20.0, 15.0, 19.5)


def test_what_another_thread_counts_is_lost():
    def count_elsewhere(number: int) -> None:
        beam_metrics.add_to_counter("here", 1)
        thread = threading.Thread(target=beam_metrics.add_to_counter, args=("elsewhere", 1))
        thread.start()
        thread.join()

    assert run(count_elsewhere).sums == {"here": 3}


def test_outside_a_pipeline_counting_does_nothing():
    measure(1)


class NoMetrics:
    """The result of an engine that keeps none, as Beam's base class says it."""

    def metrics(self):
        raise NotImplementedError


class AttemptedOnly:
    """The result of an engine that knows only what was attempted."""

    def metrics(self):
        return self

    def query(self, _filter):
        from apache_beam.metrics.execution import MetricKey, MetricResult
        from apache_beam.metrics.metricbase import MetricName

        name = MetricName("caption_images", "seen")
        return {"counters": [MetricResult(MetricKey("s", name), None, 5)], "distributions": []}


def test_an_engine_without_metrics_gives_none():
    assert read_metrics(NoMetrics()) is None
    assert read_metrics(None) is None
    assert run(lambda number: None) is None


def test_attempted_values_stand_in_for_committed_ones():
    assert read_metrics(AttemptedOnly()).sums == {"seen": 5}
