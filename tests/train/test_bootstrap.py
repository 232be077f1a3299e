"""Intervals against a computation in plain Python with the same draws."""

import math

import numpy as np
import pytest

from train.bootstrap import (
    Interval,
    difference_intervals,
    intervals,
    resampled_metrics,
)
from train.metrics import measure_captions

REFERENCES = {
    "a": ["a black dog runs on the grass", "the dog is running"],
    "b": ["two girls play with a red ball", "girls in a garden"],
    "c": ["a man rides a bike down the street", "a cyclist on a road"],
    "d": ["a cat sleeps on a sofa"],
}
FIRST = {"a": "a dog runs", "b": "girls play", "c": "a man on a bike", "d": "a cat on a sofa"}
SECOND = {"a": "a black dog", "b": "two men", "c": "a man on a road", "d": "cat"}


@pytest.fixture(scope="module")
def measured():
    return measure_captions(REFERENCES, [FIRST, SECOND], java=False)


def percentile(values, share):
    """The quantile between the two nearest values, as NumPy's default has it."""
    ranked = sorted(values)
    place = share * (len(ranked) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (place - low) * (ranked[high] - ranked[low])


def draws(count, images, seed):
    random = np.random.default_rng(seed)
    return [[int(image) for image in random.integers(images, size=images)] for _ in range(count)]


def bleu_1(rows):
    words, nearest = sum(row[0] for row in rows), sum(row[1] for row in rows)
    guessed, correct = sum(row[2] for row in rows), sum(row[6] for row in rows)
    return correct / guessed * math.exp(1 - max(nearest / words, 1))


def test_the_same_as_in_plain_python(measured):
    drawn = draws(250, 4, seed=3)  # more than two blocks
    expected = []
    for scores in measured:
        cider = list(scores.cider.values())
        table = scores.statistics.table.tolist()
        expected.append(
            {
                "CIDEr": [sum(cider[image] for image in draw) / 4 for draw in drawn],
                "BLEU-1": [bleu_1([table[image] for image in draw]) for draw in drawn],
            }
        )
    values = resampled_metrics([one.statistics for one in measured], resamples=250, seed=3)
    for found, plain in zip(values, expected, strict=True):
        assert list(found) == list(measured[0].metrics)
        for name, numbers in plain.items():
            assert found[name] == pytest.approx(numbers, abs=1e-8)
            one = intervals(found)[name]
            assert one.low == pytest.approx(percentile(numbers, 0.025), abs=1e-8)
            assert one.high == pytest.approx(percentile(numbers, 0.975), abs=1e-8)
    differences = [b - a for a, b in zip(expected[0]["CIDEr"], expected[1]["CIDEr"], strict=True)]
    found = difference_intervals(values[1], values[0])["CIDEr"]
    assert found.low == pytest.approx(percentile(differences, 0.025))
    assert found.high == pytest.approx(percentile(differences, 0.975))


def test_one_image_gives_intervals_of_no_width():
    [scores] = measure_captions({"x": ["a dog runs"]}, [{"x": "a dog"}], java=False)
    [values] = resampled_metrics([scores.statistics], resamples=20)
    for name, interval in intervals(values).items():
        assert interval.low == interval.high == pytest.approx(scores.metrics[name])


def test_equal_captions_differ_by_exactly_nothing(measured):
    table = np.random.default_rng(0).random((501, 35))  # sizes where rounding would show
    one, other = (type(measured[0].statistics)(table.copy()) for _ in range(2))
    values = resampled_metrics([one, other], resamples=150)
    for interval in difference_intervals(values[1], values[0]).values():
        assert interval == Interval(0.0, 0.0)
        assert not interval.excludes_zero


def test_the_seed_decides(measured):
    statistics = [measured[0].statistics]
    first, again, other = (
        intervals(resampled_metrics(statistics, resamples=30, seed=seed)[0]) for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("low", "high", "excludes"),
    [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False), (0.0, 0.1, False)],
)
def test_which_intervals_exclude_zero(low, high, excludes):
    assert Interval(low, high).excludes_zero is excludes
