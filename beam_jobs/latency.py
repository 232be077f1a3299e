"""Percentiles from counts: values sorted into logarithmic buckets, which any engine can add up.

Beam's distributions keep count, sum, smallest and largest value, but no percentiles. So each
value is also counted in a bucket; five buckets a decade from 0.1 to 1,000,000, which for
milliseconds is 0.1 ms to 1,000 s. A percentile is interpolated inside its bucket, so it is never
off by more than the bucket's width, a factor of 1.58; where all values are equal it is exact.

Takes values in workers (`bucket_of`) and sums in the launcher (`summarize`); knows no Beam.
"""

import bisect
import dataclasses
import math
from collections.abc import Mapping

BUCKETS_PER_DECADE = 5
SMALLEST = 0.1
DECADES = 7
# Bucket 0 is below the first edge, bucket N from edge N-1 up to edge N, the last one above all.
EDGES = tuple(
    SMALLEST * 10 ** (step / BUCKETS_PER_DECADE) for step in range(DECADES * BUCKETS_PER_DECADE + 1)
)


@dataclasses.dataclass(frozen=True)
class Summary:
    """Many values in short, in the unit in which they were observed.

    Attributes:
        count: number of values.
        mean: exact.
        min: exact.
        max: exact.
        p50: half of the values are at most this; interpolated.
        p95: 95 of 100 values are at most this; interpolated.
    """

    count: int
    mean: float
    min: float
    max: float
    p50: float
    p95: float


def bucket_of(value: float) -> int:
    """Returns the number of a value's bucket: 0 below 0.1, then 5 a decade, 36 from 1e6 on."""
    return bisect.bisect_right(EDGES, value)


def summarize(
    buckets: Mapping[int, int], *, count: int, total: float, low: float, high: float
) -> Summary:
    """Makes the summary of values that were counted in buckets.

    Args:
        buckets: number of values by bucket; where it is empty (an engine that lost them), the
            percentiles lie on a line between `low` and `high`.
        count: number of values, at least 1.
        total: their sum.
        low: the smallest.
        high: the largest.
    """
    return Summary(
        count=count,
        mean=total / count,
        min=low,
        max=high,
        p50=percentile(buckets, 0.50, low, high),
        p95=percentile(buckets, 0.95, low, high),
    )


def percentile(buckets: Mapping[int, int], share: float, low: float, high: float) -> float:
    """Interpolates a percentile, evenly on a logarithmic scale inside its bucket.

    Of ten values in the bucket 10 to 15.8 the middle one is taken as 12.6, the bucket's middle
    on that scale, unless the smallest or largest value of all is nearer.

    Args:
        buckets: number of values by bucket.
        share: which percentile, 0..1.
        low: the smallest value.
        high: the largest value.
    """
    wanted = share * sum(buckets.values())
    passed = 0
    for number, count in sorted(buckets.items()):
        if count and passed + count >= wanted:
            return _inside(number, (wanted - passed) / count, low, high)
        passed += count
    return low + share * (high - low)


def _inside(bucket: int, share: float, low: float, high: float) -> float:
    """Returns the value at a share of a bucket, whose ends are drawn in to `low` and `high`."""
    start = max(EDGES[bucket - 1], low) if bucket else low
    end = min(EDGES[bucket], high) if bucket < len(EDGES) else high
    if start <= 0 or end <= start:
        return min(max(start + share * (end - start), low), high)
    return math.exp(math.log(start) + share * (math.log(end) - math.log(start)))
