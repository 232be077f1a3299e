"""Rows -> committed parts, while the pipeline runs.

Rows of both tables gather in memory until they are `commit_every` images, 60 seconds have
passed, or Beam's bundle ends; then they are committed (`outputs.journal`), where nothing takes
them back. A bundle that Beam tries again commits its rows again: publishing keeps one of each.
"""

import threading
import time
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection

from beam_jobs.counters import COMMIT_MS, observe
from beam_jobs.outputs import journal
from beam_jobs.records import Row, Table

COMMIT_SECS = 60.0


class CommitRows(beam.PTransform[Any, Any]):
    """PCollection of (table's name, row) -> nothing; the rows are durable."""

    def __init__(
        self,
        tables: Iterable[Table],
        output: str,
        run_id: str,
        *,
        commit_every: int,
        commit_secs: float = COMMIT_SECS,
    ) -> None:
        """Keeps where and how to write.

        Args:
            tables: the tables that rows may belong to.
            output: the job's output folder, on any file system that Beam knows.
            run_id: begins the parts' names.
            commit_every: most rows in memory.
            commit_secs: longest time that a row waits.
        """
        super().__init__()
        self._do_fn = CommitFn(tables, output, run_id, commit_every, commit_secs)

    def expand(self, rows: PCollection[Any]) -> PCollection[Any]:
        """Builds the step."""
        committed: PCollection[Any] = rows | "Commit" >> beam.ParDo(self._do_fn)
        return committed


class CommitFn(beam.DoFn):
    """Commits rows; gives nothing.

    A clock of its own watches the rows that wait: where the next image takes long, as behind a
    server that stalls, they are committed all the same.
    """

    def __init__(
        self,
        tables: Iterable[Table],
        output: str,
        run_id: str,
        commit_every: int,
        commit_secs: float,
    ) -> None:
        """Keeps where and how to write; see `CommitRows`."""
        self._tables = {table.name: table for table in tables}
        self._output = output
        self._run_id = run_id
        self._commit_every = commit_every
        self._commit_secs = commit_secs

    def setup(self) -> None:
        """Makes what a worker needs for itself."""
        self._lock = threading.Lock()
        self._rows: dict[str, list[Row]] = {}
        self._clock: threading.Timer | None = None
        self._error: Exception | None = None

    def start_bundle(self) -> None:
        """Begins with no rows: those of a bundle that failed come again."""
        with self._lock:
            self._forget()

    def process(self, tagged: tuple[str, Row]) -> None:
        """Takes one row."""
        name, row = tagged
        with self._lock:
            self._raise_error()
            self._rows.setdefault(name, []).append(row)
            if sum(map(len, self._rows.values())) >= self._commit_every:
                self._commit()
            elif self._clock is None:
                self._clock = threading.Timer(self._commit_secs, self._commit_in_time)
                self._clock.daemon = True
                self._clock.start()

    def finish_bundle(self) -> None:
        """Commits the rows that are left."""
        with self._lock:
            self._raise_error()
            self._commit()

    def teardown(self) -> None:
        """Stops the clock."""
        with self._lock:
            self._forget()

    def _commit_in_time(self) -> None:
        with self._lock:
            try:
                if self._clock is threading.current_thread():
                    self._commit(timed=False)
            # Kept for the bundle's own thread, where Beam sees it.
            except Exception as error:
                self._error = error

    def _commit(self, timed: bool = True) -> None:
        for name, rows in self._rows.items():
            started_secs = time.monotonic()
            journal.commit(self._output, self._tables[name], self._run_id, rows)
            # Metrics belong to the bundle's thread; the clock's own has none.
            if timed:
                observe(COMMIT_MS, (time.monotonic() - started_secs) * 1000)
        self._forget()

    def _forget(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._clock = None
        self._rows = {}

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
