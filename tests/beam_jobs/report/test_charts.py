import numpy as np
import pytest

from beam_jobs.report.charts import Bar, confidence_chart, words_chart
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
