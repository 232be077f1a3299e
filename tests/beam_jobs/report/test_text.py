import pytest

from beam_jobs.report.text import count_text, duration_text, percent_text, shorten, time_text


def test_counts_have_separators():
    assert [count_text(number) for number in (0, 999, 1234567)] == ["0", "999", "1,234,567"]


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
