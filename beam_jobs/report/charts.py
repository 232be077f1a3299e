"""The report's two histograms as shapes: bars, ticks and the words that describe them.

Takes filled histograms; gives positions in fractions of the drawing, 0..1 from left to
right and from the axis upwards, so that the template only scales them.
"""

import dataclasses
import itertools

from beam_jobs.report.histogram import Histogram
from beam_jobs.report.text import percent_text


@dataclasses.dataclass(frozen=True)
class Bar:
    """One bar: its left edge, width and height (0..1), count, and what it counts."""

    left: float
    width: float
    height: float
    count: int
    label: str


@dataclasses.dataclass(frozen=True)
class Tick:
    """A mark on the axis: where (0..1) and its text."""

    at: float
    label: str


@dataclasses.dataclass(frozen=True)
class Chart:
    """A histogram that is ready to draw.

    Attributes:
        title: what is counted.
        note: its main number in words.
        largest: count of the highest bar.
        bars: one a bin, empty ones included, from left to right.
        ticks: marks of the horizontal axis.
    """

    title: str
    note: str
    largest: int
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


def confidence_chart(confidences: Histogram) -> Chart:
    """Returns the chart of a histogram over 0..1."""
    edges = [percent_text(float(edge)) for edge in confidences.edges]
    labels = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
    mean = confidences.mean
    return Chart(
        title="Confidence",
        note="no scores" if mean is None else f"mean {percent_text(mean)}",
        largest=int(confidences.counts.max()),
        bars=_bars(confidences.counts.tolist(), labels),
        ticks=tuple(Tick(at / 4, f"{25 * at}%") for at in range(5)),
    )


def words_chart(words: Histogram) -> Chart:
    """Returns the chart of a histogram with one bin a number of words, from 0 on.

    The last bin also holds all longer captions. Empty bins at the right end are left out.
    """
    used = words.counts.nonzero()[0]
    last_bin = len(words.counts) - 1
    last = min(max(int(used[-1]) if len(used) else 0, 9), last_bin)
    numbers = [f"{number}+" if number == last_bin else str(number) for number in range(last + 1)]
    step = 2 if last < 16 else 4
    return Chart(
        title="Words in a caption",
        note="no captions" if words.mean is None else f"mean {words.mean:.1f}",
        largest=int(words.counts.max()),
        bars=_bars(words.counts[: last + 1].tolist(), [f"{number} words" for number in numbers]),
        ticks=tuple(
            Tick((number + 0.5) / (last + 1), numbers[number])
            for number in range(0, last + 1, step)
        ),
    )


def _bars(counts: list[int], labels: list[str]) -> tuple[Bar, ...]:
    width = 1.0 / len(counts)
    largest = max(*counts, 1)
    return tuple(
        Bar(index * width, width, count / largest, count, label)
        for index, (count, label) in enumerate(zip(counts, labels, strict=True))
    )
