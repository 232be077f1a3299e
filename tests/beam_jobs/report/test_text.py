import pytest

from beam_jobs.report.text import (
    bytes_text,
    count_text,
    duration_text,
    millis_text,
    percent_text,
    score_text,
    shorten,
    time_text,
)


def test_counts_have_separators():
    assert [count_text(number) for number in (0, 999, 1234567)] == ["0", "999", "1,234,567"]


def test_scores_have_a_true_minus_and_no_zeros_at_the_end():
    assert [score_text(score) for score in (-1.5, -1.0, 0.0)] == ["\u22121.5", "\u22121", "0"]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0%"),
        (0.00001, "<0.01%"),
        (0.002, "0.2%"),
        (0.256, "26%"),
        (0.996, "99.6%"),
        (0.99999, ">99.9%"),
        (1, "100%"),
    ],
)
def test_percent_is_0_or_100_only_if_it_is(share, text):
    assert percent_text(share) == text


@pytest.mark.parametrize(
    ("secs", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.5, "1 min 0 s"), (3725, "1 h 2 min")],
)
def test_duration_has_two_units_at_most(secs, text):
    assert duration_text(secs) == text


@pytest.mark.parametrize(
    ("iso", "text"),
    [
        ("2025-11-23T02:41:07.123456+00:00", "2025-11-23 02:41:07 UTC"),
        ("2025-11-23T02:41:07+01:00", "2025-11-23 02:41:07 +0100"),
        ("2025-11-23T02:41:07", "2025-11-23 02:41:07"),
        ("yesterday", "yesterday"),
    ],
)
def test_time_is_readable_or_as_it_is(iso, text):
    assert time_text(iso) == text


def test_shorten_cuts_the_middle():
    assert shorten("abcdefghijkl", 6) == "abcd … kl"
    assert shorten("abcdef", 6) == "abcdef"


@pytest.mark.parametrize(
    ("millis", "text"),
    [
        (0.254, "0.25 ms"),
        (9.951, "10.0 ms"),
        (45.67, "45.7 ms"),
        (456.7, "457 ms"),
        (1234.0, "1.2 s"),
        (90_000.0, "1 min 30 s"),
    ],
)
def test_latencies_have_three_digits_at_most(millis, text):
    assert millis_text(millis) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1500, "1.5 kB"),
        (812_345_678, "812 MB"),
        (1.2e9, "1.2 GB"),
        (5e15, "5,000.0 TB"),
    ],
)
def test_sizes_are_in_decimal_units(number, text):
    assert bytes_text(number) == text
