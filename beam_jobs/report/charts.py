"""The report's charts as shapes: bars, ticks and the words that describe them.

Takes filled histograms and counts; gives positions in fractions of the drawing, 0..1 from left
to right and from the axis upwards, so that the template only scales them.
"""

import dataclasses
import itertools
import math

from beam_jobs.report.data import FailureSummary
from beam_jobs.report.histogram import Histogram
from beam_jobs.report.text import count_text, percent_text

FAILURE_ROWS = 12


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


@dataclasses.dataclass(frozen=True)
class FailureBar:
    """The bar of one kind of failure.

    Attributes:
        stage: where they happened; empty for the rest.
        label: the kind.
        count: number of failures.
        transient: of these, those where another try may succeed.
        lasting_width: width of the part of the bar for all others, 0..1.
        transient_width: width of the part for these, 0..1.
    """

    stage: str
    label: str
    count: int
    transient: int
    lasting_width: float
    transient_width: float


@dataclasses.dataclass(frozen=True)
class FailureChart:
    """Failures by kind, ready to draw: title, main number in words, bars, largest first."""

    title: str
    note: str
    bars: tuple[FailureBar, ...]


def score_chart(scores: Histogram) -> Chart:
    """Returns the chart of a histogram of scores, mean log-probabilities, which are 0 at most.

    The first bin also holds all lower scores. Empty bins at the left end are left out, down to
    the whole number below the lowest score, and -2 at most.
    """
    edges = [float(edge) for edge in scores.edges]
    used = scores.counts.nonzero()[0]
    lowest = edges[int(used[0])] if len(used) else edges[-1]
    start_at = max(min(math.floor(lowest), -2.0), edges[0])
    first = next(at for at, edge in enumerate(edges) if edge >= start_at)
    labels = [f"{low:.3g} to {high:.3g}" for low, high in itertools.pairwise(edges)]
    labels[0] = f"{edges[1]:.3g} or lower"
    span = edges[-1] - edges[first]
    marks = range(math.ceil(edges[first]), math.floor(edges[-1]) + 1)
    return Chart(
        title="Score",
        note="no scores" if scores.mean is None else f"mean {_minus(f'{scores.mean:.2f}')}",
        largest=int(scores.counts.max()),
        bars=_bars(scores.counts[first:].tolist(), [_minus(label) for label in labels[first:]]),
        ticks=tuple(Tick((mark - edges[first]) / span, _minus(str(mark))) for mark in marks),
    )


def failure_chart(failures: FailureSummary) -> FailureChart:
    """Returns the chart of failures by kind; kinds beyond the largest are one bar."""
    kinds = [(g.stage, g.error_type, g.count, g.transient) for g in failures.groups]
    shown, rest = kinds[:FAILURE_ROWS], kinds[FAILURE_ROWS:]
    if rest:
        counts = (sum(kind[2] for kind in rest), sum(kind[3] for kind in rest))
        shown.append(("", f"{len(rest)} more kinds", *counts))
    largest = max((count for *_, count, _ in shown), default=1)
    passing = sum(kind[3] for kind in kinds)
    return FailureChart(
        title="Failures by type",
        note=f"{count_text(passing)} of {count_text(failures.total)} may pass on another try",
        bars=tuple(
            FailureBar(
                stage, label, count, transient, (count - transient) / largest, transient / largest
            )
            for stage, label, count, transient in shown
        ),
    )


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


def _minus(text: str) -> str:
    """Returns a number's text with a real minus sign."""
    return text.replace("-", "\u2212")
