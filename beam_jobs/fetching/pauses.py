"""Local files are not read while the thread that takes them decodes a batch.

Both are quick and need Python's lock again and again: together they take longer than one after
the other (docs/performance.md). Reads wait until that thread goes on to caption, for which the lock
is not needed. Reads whose results another thread takes go on, so several pipelines in a process
never hold up each other.
"""

import contextlib
import threading
from collections.abc import Iterator

from beam_jobs.fetching.host_slots import PROCESS_SLOTS

# Threads that decode now; changed and read with the slots' lock held.
_decoding: set[int] = set()


@contextlib.contextmanager
def local_reads_paused() -> Iterator[None]:
    """Lets no read of a quick local file begin whose result this thread will take."""
    thread = threading.get_ident()
    with PROCESS_SLOTS.lock:
        _decoding.add(thread)
    try:
        yield
    finally:
        with PROCESS_SLOTS.lock:
            _decoding.discard(thread)
            PROCESS_SLOTS.notify()


def is_paused(taker: int | None) -> bool:
    """Tells whether reads for a thread wait; the caller holds the slots' lock."""
    return taker in _decoding
