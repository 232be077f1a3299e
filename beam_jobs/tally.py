"""How many images of an output folder are captioned and failed, exactly, whatever repeats.

Takes the files of committed and published tables; gives counts. Rows may repeat: a batch that
Beam tried again, a failure that was tried again and passed. As in the published tables a caption
counts before failures, and of several failures the one of the latest run. An image costs 17 bytes
of memory, and a few times as much while they are sorted.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from beam_jobs.outputs.distinct import Digests, uri_digests
from beam_jobs.outputs.journal import Part
from beam_jobs.outputs.publish import read_ahead
from beam_jobs.records import CAPTIONS, FAILURES
from beam_jobs.report.tables import read_file

_FAILURE_COLUMNS = ("uri", "run_id", "stage", "error_type", "transient")
_NO_DIGESTS = uri_digests([])


class FailureKind(NamedTuple):
    """A kind of failure: where, what, and whether another try may succeed."""

    stage: str
    error_type: str
    transient: bool


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of both tables in one place."""

    captions: Sequence[Part] = ()
    failures: Sequence[Part] = ()


@dataclasses.dataclass(frozen=True)
class Tally:
    """What the rows come to.

    Attributes:
        captions: images with a caption.
        failures: images with a failure and no caption.
        new_captions: of the captions, those in committed files only.
        new_failures: of the failures, those in committed files only.
        failures_by_kind: number of failures by kind, most first.
        committed_rows: rows of captions and of failures in committed files, by run.
    """

    captions: int
    failures: int
    new_captions: int
    new_failures: int
    failures_by_kind: Mapping[FailureKind, int]
    committed_rows: Mapping[str, tuple[int, int]]

    @property
    def transient_failures(self) -> int:
        """Failures that may pass."""
        return sum(count for kind, count in self.failures_by_kind.items() if kind.transient)


class _Numbers(dict[Any, int]):
    """Numbers things as they come: 0, 1, 2, ..."""

    def __missing__(self, thing: Any) -> int:
        self[thing] = len(self)
        return self[thing]

    def of(self, things: Iterable[Any]) -> npt.NDArray[np.int64]:
        """Returns the numbers of things."""
        return np.array([self[thing] for thing in things], dtype=np.int64)


class _Failed(NamedTuple):
    """Failures, [N] each: digest of the URI, numbers of run and kind."""

    digests: Digests
    runs: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64]


def tally(published: Files, committed: Files) -> Tally:
    """Counts images.

    Raises:
        OSError: where a file cannot be read.
    """
    before = np.unique(_joined(_captioned(published.captions)))
    captioned = _captioned(committed.captions)
    captions = np.unique(_joined([before, *captioned]))
    runs, kinds = _Numbers(), _Numbers()
    old = _concatenated(_failed(published.failures, runs, kinds))
    failed = _failed(committed.failures, runs, kinds)
    latest = _latest(_concatenated([old, *failed]), list(runs))
    left = ~np.isin(latest.digests, captions)
    names = list(kinds)
    counts = collections.Counter(names[number] for number in latest.kinds[left].tolist())
    return Tally(
        captions=len(captions),
        failures=int(left.sum()),
        new_captions=len(captions) - len(before),
        new_failures=int((left & ~np.isin(latest.digests, old.digests)).sum()),
        failures_by_kind=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        committed_rows=_rows_by_run(
            zip(committed.captions, map(len, captioned), strict=True),
            zip(committed.failures, (len(found.kinds) for found in failed), strict=True),
        ),
    )


def _rows_by_run(*tables: Iterable[tuple[Part, int]]) -> dict[str, tuple[int, int]]:
    rows: dict[str, list[int]] = collections.defaultdict(lambda: [0] * len(tables))
    for table, parts in enumerate(tables):
        for part, count in parts:
            rows[part.run_id][table] += count
    return {run_id: (captions, failures) for run_id, (captions, failures) in rows.items()}


def _captioned(parts: Sequence[Part]) -> list[Digests]:
    def read(part: Part) -> Digests:
        batches = read_file(part.path, CAPTIONS, ("uri",))
        return _joined([uri_digests(batch.column("uri").to_pylist()) for batch in batches])

    return list(read_ahead(read, parts))


def _failed(parts: Sequence[Part], runs: _Numbers, kinds: _Numbers) -> list[_Failed]:
    def read(part: Part) -> list[pa.RecordBatch]:
        return list(read_file(part.path, FAILURES, _FAILURE_COLUMNS))

    def number(batch: pa.RecordBatch) -> _Failed:
        uris, run_ids, *kind = (column.to_pylist() for column in batch.columns)
        named = itertools.starmap(_kind, zip(*kind, strict=True))
        return _Failed(uri_digests(uris), runs.of(run_ids), kinds.of(named))

    return [_concatenated(list(map(number, batches))) for batches in read_ahead(read, parts)]


def _kind(stage: str | None, error_type: str | None, transient: bool | None) -> FailureKind:
    return FailureKind(stage or "", error_type or "", bool(transient))


def _latest(failed: _Failed, run_ids: Sequence[str]) -> _Failed:
    """Leaves one failure of each image: that of the run whose id is the last by alphabet."""
    ranks = np.argsort(np.argsort(np.array(run_ids, dtype=np.str_)))
    order = np.argsort(-ranks[failed.runs], kind="stable") if len(run_ids) else failed.runs
    first = order[np.unique(failed.digests[order], return_index=True)[1]]
    return _Failed(failed.digests[first], failed.runs[first], failed.kinds[first])


def _concatenated(found: Sequence[_Failed]) -> _Failed:
    none = np.array([], dtype=np.int64)
    return _Failed(
        _joined([failed.digests for failed in found]),
        np.concatenate([none, *(failed.runs for failed in found)]),
        np.concatenate([none, *(failed.kinds for failed in found)]),
    )


def _joined(digests: Sequence[Digests]) -> Digests:
    return np.concatenate([_NO_DIGESTS, *digests])
