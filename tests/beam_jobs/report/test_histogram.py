import numpy as np

from beam_jobs.report.histogram import Histogram


def test_counts_by_bin_and_keeps_outliers_at_the_ends():
    histogram = Histogram(0, 4, 2)
    histogram.add(np.array([0.0, 1.0, 2.0, 9.0]))
    histogram.add(np.array([-3.0]))
    assert histogram.edges.tolist() == [0, 2, 4]
    assert histogram.counts.tolist() == [3, 2]
    assert histogram.total == 5
    assert histogram.mean == 9 / 5


def test_leaves_out_what_is_no_number():
    histogram = Histogram(0, 1, 2)
    histogram.add(np.array([np.nan, np.inf, -np.inf, 0.25]))
    assert histogram.counts.tolist() == [1, 0]
    assert histogram.mean == 0.25


def test_without_values_there_is_no_mean():
    assert Histogram(0, 1, 2).mean is None
