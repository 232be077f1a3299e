"""How far a metric may be from its value on other photos of the same kind: the bootstrap.

Takes the statistics of each image's caption; returns 95 % intervals. Images are drawn with
replacement, as many as there are, again and again (Efron 1979), and the metric is computed anew
of each draw; the interval holds the middle 95 % of these values. All models see the same draws
(Koehn 2004), so that the interval of a difference holds what differs between the models, not
between the photos. The chance of another training run is not in it.

Legend: I images, R resamples, K columns of statistics.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from train.image_statistics import Floats, ImageStatistics, corpus_metrics

RESAMPLES = 1000
SEED = 0
SHARE = 0.95
_BLOCK = 100


@dataclasses.dataclass(frozen=True)
class Interval:
    """The middle 95 % of a metric's values, or of a difference's.

    Attributes:
        low: lower end.
        high: upper end.
    """

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference with this interval is more than chance among these photos."""
        return self.low > 0 or self.high < 0


def resampled_metrics(
    models: Sequence[ImageStatistics], resamples: int = RESAMPLES, seed: int = SEED
) -> list[dict[str, Floats]]:
    """Computes the metrics of random draws of the images.

    Args:
        models: statistics of the same images in the same order, of each model.
        resamples: how many draws.
        seed: of the draws. Draw number r is the r-th `integers(I, size=I)` of NumPy's
            `default_rng(seed)`.

    Returns:
        Of each model its values by metric, float64 [R], the same draws in the same places.
    """
    num_images = len(models[0].table)
    random = np.random.default_rng(seed)
    sums: list[list[Floats]] = [[] for _ in models]
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        draws = [random.integers(num_images, size=num_images) for _ in range(size)]
        counts = np.stack([np.bincount(draw, minlength=num_images) for draw in draws])
        for model, blocks in zip(models, sums, strict=True):
            blocks.append(counts.astype(np.float64) @ model.table)
    return [corpus_metrics(np.concatenate(blocks), num_images) for blocks in sums]


def intervals(values: Mapping[str, Floats]) -> dict[str, Interval]:
    """Returns the interval of each metric of `resampled_metrics`."""
    return {name: _interval(drawn) for name, drawn in values.items()}


def difference_intervals(
    values: Mapping[str, Floats], first: Mapping[str, Floats]
) -> dict[str, Interval]:
    """Returns the interval of each metric's difference to the first model's, draw by draw."""
    return {name: _interval(drawn - first[name]) for name, drawn in values.items()}


def _interval(drawn: Floats) -> Interval:
    low, high = np.quantile(drawn, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Interval(float(low), float(high))
