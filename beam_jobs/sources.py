r"""From what `--input` says to a PCollection of distinct inputs that are still to be done.

    inputs -> rows --\
                      > by URI -> one each -> without those done -> first N -> spread
    earlier parts ---/

Listing and reading tables happen inside the pipeline, so that the launcher holds no more than
the command line. Rows cross workers as plain tuples, many in a list: both keep shuffles small.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PBegin, PCollection
from apache_beam.transforms import combiners

from beam_jobs.counters import (
    BAD_ROWS,
    DISTINCT,
    LISTED,
    OTHER_ROWS,
    RETRIED,
    SELECTED,
    SKIPPED,
    count,
)
from beam_jobs.inputs.bigquery_rows import read_table
from beam_jobs.inputs.formats import InputSpec
from beam_jobs.inputs.reading import read_rows, split_input
from beam_jobs.inputs.rows import InputRow, Problem, Span
from beam_jobs.outputs.done import DoneMark, DonePart, is_done, read_marks
from beam_jobs.progress import ProgressSender

RetryFailures = Literal["all", "transient", "none"]
# Inputs that travel together: few enough for a fair spread, enough to keep shuffles small.
SPREAD_ROWS = 32
_ROW, _MARK = 0, 1


class ListInputs(beam.PTransform[Any, Any]):
    """The command line's inputs -> lists of inputs, for `unpack`: distinct, not done, spread.

    Applied to a pipeline. With a limit only the first URIs in alphabetical order stay: the same
    ones each time.
    """

    def __init__(
        self,
        inputs: Sequence[InputSpec],
        limit: int | None = None,
        *,
        done: Sequence[DonePart] = (),
        retry_failures: RetryFailures = "transient",
        progress: ProgressSender | None = None,
    ) -> None:
        """Keeps what to list.

        Args:
            inputs: what to list or to read.
            limit: the most URIs to give; None for all.
            done: files with the rows of earlier runs, whose images are not given again.
            retry_failures: which failures among those rows are given all the same.
            progress: where to report how much there is to do.
        """
        super().__init__()
        self._inputs = list(inputs)
        self._limit = limit
        self._done = list(done)
        self._retry_failures = retry_failures
        self._progress = progress or ProgressSender()

    def expand(self, begin: PBegin) -> PCollection[Any]:
        """Lists the inputs inside the pipeline."""
        marks = (
            begin
            | "EarlierParts" >> beam.Create(self._done, reshuffle=True)
            | "ReadMarks" >> beam.FlatMap(_tagged_marks)
        )
        chosen = (
            (*self._rows(begin), marks)
            | beam.Flatten()
            | "ByUri" >> beam.GroupByKey()
            | "Choose" >> beam.ParDo(_Choose(self._retry_failures))
        )
        cutoff = None if self._limit is None else AsSingleton(self._cutoff(chosen))
        spread: PCollection[Any] = (
            chosen
            | "Select" >> beam.ParDo(_Select(self._progress), cutoff)
            | "Gather" >> beam.BatchElements(SPREAD_ROWS, SPREAD_ROWS)
            | "Spread" >> beam.Reshuffle()
        )
        return spread

    def _rows(self, begin: PBegin) -> Iterator[PCollection[Any]]:
        """Yields the tagged rows: one PCollection of all files, one of each BigQuery input."""
        files = [spec for spec in self._inputs if spec.format != "bigquery"]
        yield (
            begin
            | "Inputs" >> beam.Create(files, reshuffle=True)
            | "Files" >> beam.FlatMap(split_input)
            | "SpreadFiles" >> beam.Reshuffle()
            | "ReadRows" >> beam.FlatMap(read_rows)
            | "TagRows" >> beam.Map(_tagged_row)
        )
        for spec in self._inputs:
            if spec.format == "bigquery":
                yield (
                    begin
                    | f"ReadTable_{spec.number}" >> read_table(spec)
                    | f"TagTableRows_{spec.number}" >> beam.Map(_tagged_row)
                )

    def _cutoff(self, chosen: PCollection[Any]) -> PCollection[str]:
        """Returns the last URI within the limit, or an empty text where there is none."""
        last: PCollection[str] = (
            chosen
            | "Uris" >> beam.Map(lambda element: element[2])
            | "FirstUris" >> combiners.Top.Smallest(self._limit)
            | "Last" >> beam.Map(lambda uris: uris[-1] if uris else "")
        )
        return last


def _tagged_row(row: InputRow) -> tuple[str, tuple[int, Any]]:
    count(LISTED)
    if row.problem is not None:
        count(BAD_ROWS)
    _, *rest = row
    # A tuple of a tuple's own type: Beam's coder for a NamedTuple would add its module's name.
    return row.uri, (_ROW, tuple(tuple(v) if isinstance(v, tuple) else v for v in rest))


def _tagged_marks(part: DonePart) -> Iterator[tuple[str, tuple[int, Any]]]:
    for uri, mark in read_marks(part):
        yield uri, (_MARK, tuple(mark))


class _Choose(beam.DoFn):
    """What is known of a URI -> `(is done, was tried, its URI, the rest of its first row)`."""

    def __init__(self, retry_failures: RetryFailures) -> None:
        self._retry_failures = retry_failures

    def process(self, group: tuple[str, Iterable[tuple[int, Any]]]) -> Iterable[Any]:
        uri, items = group
        rows: list[Any] = []
        marks: list[Any] = []
        for kind, value in items:
            (rows if kind == _ROW else marks).append(value)
        if not rows:
            count(OTHER_ROWS)
            return
        count(DISTINCT)
        first = min(rows, key=lambda row: (row[1], repr(row)))
        done = is_done([DoneMark(*mark) for mark in marks], self._retry_failures)
        yield done, bool(marks), uri, first


class _Select(beam.DoFn):
    """Leaves out what the limit excludes and what is done; tells the display what is to do."""

    def __init__(self, progress: ProgressSender) -> None:
        self._progress = progress

    def process(
        self, element: tuple[bool, bool, str, tuple[Any, ...]], cutoff: str | None
    ) -> Iterable[Any]:
        done, was_tried, uri, rest = element
        if cutoff is not None and uri > cutoff:
            if was_tried:
                count(OTHER_ROWS)
            return
        count(SELECTED)
        if done:
            count(SKIPPED)
            return
        if was_tried:
            count(RETRIED)
        self._progress.add(total=1)
        yield uri, rest

    def finish_bundle(self) -> None:
        self._progress.flush()


def unpack(elements: Sequence[tuple[str, tuple[Any, ...]]]) -> Iterator[InputRow]:
    """Yields the inputs of one list that `ListInputs` gave."""
    for uri, (carried, position, span, problem) in elements:
        yield InputRow(
            uri,
            carried,
            position,
            Span(*span) if span else None,
            Problem(*problem) if problem else None,
        )
