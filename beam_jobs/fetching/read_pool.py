"""Several reads at a time, results in the order of submission, bounded memory.

    pool = ReadPool(config)                  # DoFn.setup
    for result in pool.submit(row): ...      # DoFn.process: results of earlier rows
    for result in pool.drain(): ...          # DoFn.finish_bundle: all the rest
    pool.discard()                           # DoFn.start_bundle: what a failed bundle left behind
    pool.close()                             # DoFn.teardown

Results are given back as late as possible, one for each further row once `max_ahead` rows are under
way: whoever takes it may caption a batch before asking again, and the next batch is read meanwhile.

How the work is shared out. Up to `config.threads` daemon threads take rows from one queue; two, as
long as all rows are local and no result is waited for; these also wait while the one who takes the
results decodes images (`pauses`). A thread takes the oldest row whose host has
a free slot, so no thread ever waits for a busy host while another host's row could be read; only a
redirect can make one wait. A row that is tried again keeps its slot and its thread while it waits,
so a host in trouble ties up at most `max_reads_per_host` threads and gets fewer requests, not more.
As results come in order, a stalled row holds back those behind it for at most its attempts' time
limits, while up to `max_ahead` rows are read meanwhile.

Memory. Once finished results hold `max_bytes`, no read starts except that of the oldest row, which
all the others wait for. So at most `max_bytes`, plus one image for each thread, wait here.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from beam_jobs.config import MIB, FetchConfig
from beam_jobs.fetching.addresses import IsAllowed, is_public_address
from beam_jobs.fetching.errors import FetchFailedError
from beam_jobs.fetching.fetcher import Fetcher, address_of
from beam_jobs.fetching.host_slots import PROCESS_SLOTS, host_of
from beam_jobs.fetching.pauses import is_paused
from beam_jobs.inputs.rows import InputRow

MAX_AHEAD = 128
MAX_BYTES = 128 * MIB
CLOSE_SECS = 10.0
# Sixteen threads with quick reads, from a local disk's cache, take turns at Python's lock and hold
# up all others. Where reads are slow, they are waited for, and more threads are started.
_FIRST_LOCAL_THREADS = 2
_LONG_WAIT_SECS = 0.01
_LOGGER = logging.getLogger(__name__)


class ReadResult(NamedTuple):
    """What became of one row.

    Attributes:
        row: as submitted.
        data: the image's encoded bytes; None where it could not be read.
        error: why not; `error.__cause__` is the last error. None where it could.
        secs: how long reading took, further attempts and the waits between them included.
    """

    row: InputRow
    data: bytes | None
    error: FetchFailedError | None
    secs: float


class _Read:
    """A row on its way; `result` once it is read, `crash` where a thread failed otherwise."""

    def __init__(self, row: InputRow) -> None:
        self.row = row
        self.host = host_of(address_of(row))
        self.result: ReadResult | None = None
        self.crash: BaseException | None = None
        self.is_forgotten = False

    @property
    def is_done(self) -> bool:
        return self.result is not None or self.crash is not None

    @property
    def num_bytes(self) -> int:
        return len(self.result.data) if self.result and self.result.data else 0


class ReadPool:
    """Reads rows ahead of the one who takes the results. One thread uses it; it has its own."""

    def __init__(
        self,
        config: FetchConfig,
        max_ahead: int = MAX_AHEAD,
        max_bytes: int = MAX_BYTES,
        is_allowed: IsAllowed = is_public_address,
    ) -> None:
        """Starts no thread yet; they are started as rows come.

        Args:
            config: how images are read; `threads` of them at a time.
            max_ahead: most rows that are submitted and not given back, 1 or more.
            max_bytes: most bytes of finished results before no further read starts, see above.
            is_allowed: see `Fetcher`.
        """
        self._config = config
        self._max_ahead = max_ahead
        self._max_bytes = max_bytes
        self._is_allowed = is_allowed
        # One lock for everything, the slots included: whether a row may start depends on both.
        self._lock = PROCESS_SLOTS.lock
        self._work = threading.Condition(self._lock)
        self._oldest_done = threading.Condition(self._lock)
        self._queue: deque[_Read] = deque()  # not given back yet, the oldest first
        self._waiting: list[_Read] = []  # of these, those that no thread has taken
        self._finished_bytes = 0
        self._threads: list[threading.Thread] = []
        self._fetchers: list[Fetcher] = []
        self._num_idle = 0
        self._max_threads = min(_FIRST_LOCAL_THREADS, config.threads)
        self._is_quick = True  # no result was waited for long
        self._taker: int | None = None
        self._closed = False
        PROCESS_SLOTS.listen(self._work)

    def submit(self, row: InputRow) -> list[ReadResult]:
        """Takes a row to read; waits where too many rows or bytes are under way.

        Args:
            row: a row without a problem.

        Returns:
            Results that make room for it, in the order of submission.
        """
        with self._lock:
            if self._closed:
                raise ValueError("the pool is closed")
            self._taker = threading.get_ident()
            results: list[ReadResult] = []
            while self._queue and self._is_full():
                results.append(self._take_oldest())
            read = _Read(row)
            if read.host is not None:
                self._max_threads = self._config.threads
            self._queue.append(read)
            self._waiting.append(read)
            self._call_thread()
            return results

    def drain(self) -> Iterator[ReadResult]:
        """Yields the results of all rows that are not given back yet, in their order."""
        while True:
            with self._lock:
                self._taker = threading.get_ident()
                if not self._queue:
                    return
                result = self._take_oldest()
            yield result

    def discard(self) -> None:
        """Forgets all rows that are not given back yet; those under way are read for nothing."""
        with self._lock:
            for read in self._queue:
                read.is_forgotten = True
            self._queue.clear()
            self._waiting.clear()
            self._finished_bytes = 0

    def close(self, wait_secs: float = CLOSE_SECS) -> None:
        """Breaks off all reads and ends the threads; a second call does nothing.

        Connections and waits end at once. A call into a file system's client or the name server
        cannot be broken off: it is waited for, and where it outlasts `wait_secs`, its daemon thread
        ends with the call, and does not keep the process from ending.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._work.notify_all()
        self.discard()
        self._join(time.monotonic() + wait_secs)
        PROCESS_SLOTS.unlisten(self._work)

    def _join(self, deadline: float) -> None:
        alive = self._threads
        while alive and time.monotonic() < deadline:
            # Again and again: a thread may have been between two steps.
            for fetcher in list(self._fetchers):
                fetcher.stop()
            alive[0].join(0.05)
            alive = [thread for thread in alive if thread.is_alive()]
        if alive:
            _LOGGER.warning("%d reads go on: their file system does not answer", len(alive))

    # What follows is called with the lock held.

    def _is_full(self) -> bool:
        return len(self._queue) >= self._max_ahead or self._finished_bytes >= self._max_bytes

    def _call_thread(self) -> None:
        self._work.notify()
        # Not "if none is idle": one that was notified before is idle until it wakes.
        if len(self._waiting) > self._num_idle and len(self._threads) < self._max_threads:
            name = f"read-{len(self._threads)}"
            thread = threading.Thread(target=self._run_thread, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _take_oldest(self) -> ReadResult:
        self._wait_for_oldest()
        was_full = self._finished_bytes >= self._max_bytes
        read = self._queue.popleft()
        self._finished_bytes -= read.num_bytes
        if read.result is None:
            raise RuntimeError(f"a thread failed to read {read.row.uri}") from read.crash
        if was_full:
            self._work.notify()
        return read.result

    def _wait_for_oldest(self) -> None:
        while not self._queue[0].is_done:
            may_change = self._is_quick or self._max_threads < self._config.threads
            if not self._oldest_done.wait(_LONG_WAIT_SECS if may_change else None):
                self._is_quick = False
                self._max_threads = min(2 * self._max_threads, self._config.threads)
                for _ in self._waiting:
                    self._call_thread()

    def _pick(self) -> _Read | None:
        """Takes the oldest waiting row that may start, and its slot."""
        limit = self._config.max_reads_per_host
        paused = self._is_quick and is_paused(self._taker)
        for at, read in enumerate(self._waiting):
            if self._finished_bytes >= self._max_bytes and read is not self._queue[0]:
                return None
            if paused and read.host is None:
                continue
            if PROCESS_SLOTS.try_take(read.host, limit):
                return self._waiting.pop(at)
        return None

    # What follows runs in the pool's threads, without the lock.

    def _run_thread(self) -> None:
        fetcher = Fetcher(self._config, self._is_allowed)
        with self._lock:
            self._fetchers.append(fetcher)
        try:
            while read := self._next():
                self._finish(read, *self._outcome(fetcher, read))
        finally:
            fetcher.close()

    def _next(self) -> _Read | None:
        with self._lock:
            while not self._closed:
                read = self._pick()
                if read is not None:
                    if self._waiting:
                        self._work.notify()
                    return read
                self._num_idle += 1
                self._work.wait()
                self._num_idle -= 1
            return None

    def _outcome(
        self, fetcher: Fetcher, read: _Read
    ) -> tuple[ReadResult | None, BaseException | None]:
        start = time.monotonic()
        try:
            data = fetcher.fetch_row(read.row, read.host)
        except FetchFailedError as error:
            return ReadResult(read.row, None, error, time.monotonic() - start), None
        # Not one image's failure: it is raised where the result is taken, and a row that is waited
        # for cannot be lost with its thread.
        except BaseException as crash:
            return None, crash
        return ReadResult(read.row, data, None, time.monotonic() - start), None

    def _finish(self, read: _Read, result: ReadResult | None, crash: BaseException | None) -> None:
        with self._lock:
            read.result, read.crash = result, crash
            if read.is_forgotten:
                return
            self._finished_bytes += read.num_bytes
            if read is self._queue[0]:
                self._oldest_done.notify()
