import numpy as np
import pytest

from beam_jobs.report.charts import (
    Bar,
    FailureBar,
    confidence_chart,
    failure_chart,
    score_chart,
    words_chart,
)
from beam_jobs.report.data import FailureGroup, FailureSummary
from beam_jobs.report.histogram import Histogram


def test_confidence_chart_scales_bars_to_the_largest():
    histogram = Histogram(0, 1, 4)
    histogram.add(np.array([0.1, 0.3, 0.3]))
    chart = confidence_chart(histogram)
    assert chart.bars == (
        Bar(0.0, 0.25, 0.5, 1, "0% to 25%"),
        Bar(0.25, 0.25, 1.0, 2, "25% to 50%"),
        Bar(0.5, 0.25, 0.0, 0, "50% to 75%"),
        Bar(0.75, 0.25, 0.0, 0, "75% to 100%"),
    )
    assert (chart.note, chart.largest) == ("mean 23%", 2)
    assert [tick.label for tick in chart.ticks] == ["0%", "25%", "50%", "75%", "100%"]


def test_words_chart_ends_at_the_longest_caption():
    histogram = Histogram(-0.5, 32.5, 33)
    histogram.add(np.array([7.0, 12.0]))
    chart = words_chart(histogram)
    assert [bar.label for bar in chart.bars if bar.count] == ["7 words", "12 words"]
    assert len(chart.bars) == 13
    assert chart.ticks[0].at == pytest.approx(0.5 / 13)


def test_words_chart_says_that_its_last_bin_is_open():
    histogram = Histogram(-0.5, 32.5, 33)
    histogram.add(np.array([70.0]))
    chart = words_chart(histogram)
    assert chart.bars[-1].label == "32+ words"
    assert chart.ticks[-1].label == "32+"


def test_charts_without_values_are_empty():
    assert confidence_chart(Histogram(0, 1, 4)).note == "no scores"
    chart = words_chart(Histogram(-0.5, 32.5, 33))
    assert (chart.note, chart.largest, len(chart.bars)) == ("no captions", 0, 10)


def scores(*values: float) -> Histogram:
    histogram = Histogram(-6.0, 0.0, 48)
    histogram.add(np.array(values))
    return histogram


def test_score_chart_begins_at_the_whole_number_below_the_lowest():
    chart = score_chart(scores(-2.6, -0.5, -0.45))
    assert [tick.label for tick in chart.ticks] == ["\u22123", "\u22122", "\u22121", "0"]
    assert [tick.at for tick in chart.ticks] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert len(chart.bars) == 24
    assert [(bar.label, bar.count) for bar in chart.bars if bar.count] == [
        ("\u22122.62 to \u22122.5", 1),
        ("\u22120.5 to \u22120.375", 2),
    ]
    assert (chart.title, chart.note, chart.largest) == ("Score", "mean \u22121.18", 2)


def test_score_chart_says_that_its_first_bin_is_open():
    chart = score_chart(scores(-60.0, -0.1))
    assert chart.bars[0].label == "\u22125.88 or lower"
    assert len(chart.bars) == 48


def test_score_chart_without_scores_is_empty():
    chart = score_chart(scores())
    assert (chart.note, chart.largest, len(chart.bars)) == ("no scores", 0, 16)
    assert [tick.label for tick in chart.ticks] == ["\u22122", "\u22121", "0"]


def test_failure_chart_parts_its_bars_by_whether_they_may_pass():
    groups = (
        FailureGroup("read", "HttpStatusError", 8, 6, ()),
        FailureGroup("decode", "EmptyImageError", 2, 0, ()),
    )
    chart = failure_chart(FailureSummary(10, groups))
    assert chart.bars == (
        FailureBar("read", "HttpStatusError", 8, 6, 0.25, 0.75),
        FailureBar("decode", "EmptyImageError", 2, 0, 0.25, 0.0),
    )
    assert chart.note == "6 of 10 may pass on another try"


def test_failure_chart_joins_the_smallest_kinds():
    groups = tuple(FailureGroup("read", f"Error{at}", 40 - at, 1, ()) for at in range(15))
    chart = failure_chart(FailureSummary(sum(group.count for group in groups), groups))
    assert len(chart.bars) == 13
    rest = chart.bars[-1]
    assert (rest.stage, rest.label, rest.count, rest.transient) == ("", "3 more kinds", 81, 3)
    assert max(bar.lasting_width + bar.transient_width for bar in chart.bars) == 1.0


def test_failure_chart_without_failures_is_empty():
    assert failure_chart(FailureSummary(0, ())).bars == ()
