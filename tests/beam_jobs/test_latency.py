import collections

import numpy as np
import pytest

from beam_jobs.latency import EDGES, Summary, bucket_of, percentile, summarize


def counted(values) -> collections.Counter[int]:
    return collections.Counter(map(bucket_of, values))


def summary_of(values) -> Summary:
    return summarize(
        counted(values), count=len(values), total=sum(values), low=min(values), high=max(values)
    )


def test_five_buckets_a_decade_from_a_tenth_to_a_million():
    assert len(EDGES) == 36
    assert (EDGES[0], EDGES[5], EDGES[-1]) == pytest.approx((0.1, 1.0, 1e6))
    assert [EDGES[at + 1] / EDGES[at] for at in range(35)] == pytest.approx([10**0.2] * 35)


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(0.0, 0), (0.09, 0), (0.1, 1), (0.15, 1), (0.16, 2), (99.0, 15), (101.0, 16), (2e6, 36)],
)
def test_the_bucket_of_a_value(value, bucket):
    assert bucket_of(value) == bucket


def test_equal_values_give_exact_percentiles():
    assert summary_of([32.0] * 7) == Summary(7, 32.0, 32.0, 32.0, 32.0, 32.0)


def test_a_percentile_lies_evenly_on_a_logarithmic_scale_inside_its_bucket():
    # Ten values between 10 and 10 * 10 ** 0.2, the ends of their bucket.
    assert percentile({11: 10}, 0.5, 1.0, 100.0) == pytest.approx(10 * 10**0.1)
    assert percentile({11: 10, 12: 10}, 0.5, 1.0, 100.0) == pytest.approx(10 * 10**0.2)
    assert percentile({11: 10, 21: 10}, 0.95, 1.0, 1e4) == pytest.approx(1000 * 10**0.18)


def test_values_below_and_above_all_buckets_lie_between_the_ends():
    assert summary_of([0.0, 0.0, 0.05]).p50 == pytest.approx(0.025)
    assert summary_of([2e6, 4e6]).p50 == pytest.approx(2e6 * 2**0.5)


def test_without_buckets_a_line_between_the_ends_is_all_there_is():
    found = summarize({}, count=4, total=40.0, low=0.0, high=20.0)
    assert (found.mean, found.p50, found.p95) == (10.0, 10.0, 19.0)


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.0, 2.0])
def test_percentiles_of_latencies_are_within_a_tenth_of_the_exact_ones(spread):
    values = np.exp(np.random.default_rng(1).normal(3.0, spread, 10_000))
    found = summary_of(values.tolist())
    exact = np.percentile(values, [50, 95])
    assert [found.p50, found.p95] == pytest.approx(exact, rel=0.1)
