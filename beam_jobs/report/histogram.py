"""A histogram with fixed bins that is filled batch by batch.

Takes numpy arrays of numbers; gives counts that need the same memory for ten rows or ten
million. Values outside the range fall into the first or the last bin; NaN and infinities
are left out, so `total` is the number of finite values.
"""

import numpy as np
import numpy.typing as npt


class Histogram:
    """Counts values in bins of equal width.

    With `low=0, high=4, num_bins=2`, the values 0, 1, 2 and 9 give the counts [2, 2].
    """

    def __init__(self, low: float, high: float, num_bins: int) -> None:
        """Makes empty bins.

        Args:
            low: lower bound of the first bin.
            high: upper bound of the last bin.
            num_bins: number of bins.
        """
        self.edges = np.linspace(low, high, num_bins + 1)
        self.counts = np.zeros(num_bins, dtype=np.int64)
        self._sum = 0.0

    def add(self, values: npt.NDArray[np.float64]) -> None:
        """Counts more values, float64 [N]."""
        finite = values[np.isfinite(values)]
        inside = np.clip(finite, self.edges[0], self.edges[-1])
        self.counts += np.histogram(inside, bins=self.edges)[0]
        self._sum += float(finite.sum())

    @property
    def total(self) -> int:
        """The number of values counted."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float | None:
        """The mean of the values (not of the bins), or None without values."""
        return self._sum / self.total if self.total else None
