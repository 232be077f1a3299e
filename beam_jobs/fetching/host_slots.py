"""How many reads go on at one host at the same time, counted for the whole process.

A worker process may hold several readers (one for each of Beam's bundle threads); politeness is
owed by all of them together, so `PROCESS_SLOTS` is shared: a module's one object behind a lock. A
host is `name:port` for http(s), `scheme://bucket` for an object store; local files are not limited.
"""

import threading
from collections import Counter
from types import TracebackType
from urllib.parse import urlsplit

from beam_jobs.fetching.errors import ReadStoppedError
from beam_jobs.fetching.http_reader import is_http

_DEFAULT_PORTS = {"http": 80, "https": 443}


def host_of(uri: str) -> str | None:
    """Returns whose limit a read counts for; None where there is no limit.

    >>> [host_of(uri) for uri in ("HTTP://Photos.org/a", "gs://bucket/a", "/a")]
    ['photos.org:80', 'gs://bucket', None]
    """
    scheme, separator, rest = uri.partition("://")
    scheme = scheme.lower()
    if not separator or scheme == "file":
        return None
    if not is_http(uri):
        return f"{scheme}://{rest.partition('/')[0]}"
    try:
        parts = urlsplit(uri)
        return f"{parts.hostname}:{parts.port or _DEFAULT_PORTS[scheme]}"
    except ValueError:  # No URL; the read will say so.
        return None


class HostSlots:
    """Counts the reads at each host.

    Attributes:
        lock: guards the counts; `try_take` and `give_back` want it held.
    """

    def __init__(self) -> None:
        """Counts from zero."""
        self.lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._freed = threading.Condition(self.lock)
        self._listeners: list[threading.Condition] = []

    def try_take(self, host: str | None, limit: int) -> bool:
        """Takes a slot if one is free; the caller holds the lock."""
        if host is not None:
            if self._taken[host] >= limit:
                return False
            self._taken[host] += 1
        return True

    def give_back(self, host: str | None) -> None:
        """Frees a slot and tells those who wait; the caller holds the lock."""
        if host is None:
            return
        self._taken[host] -= 1
        if not self._taken[host]:
            del self._taken[host]
        self.notify()

    def notify(self) -> None:
        """Lets all who wait look again; the caller holds the lock."""
        self._freed.notify_all()
        for listener in self._listeners:
            listener.notify()

    def take(self, host: str | None, limit: int, stopping: threading.Event) -> None:
        """Takes a slot, waiting for one.

        Raises:
            ReadStoppedError: where `stopping` is set, which must be followed by `notify`.
        """
        with self.lock:
            while not self.try_take(host, limit):
                if stopping.is_set():
                    raise ReadStoppedError("the job ends")
                self._freed.wait()

    def listen(self, condition: threading.Condition) -> None:
        """Notifies one waiter of a condition over `lock` whenever a slot is free again."""
        with self.lock:
            self._listeners.append(condition)

    def unlisten(self, condition: threading.Condition) -> None:
        """Ends `listen`."""
        with self.lock:
            self._listeners.remove(condition)

    def count(self, host: str) -> int:
        """Returns the reads that go on at a host."""
        with self.lock:
            return self._taken[host]


PROCESS_SLOTS = HostSlots()


class Hold:
    """One read's slot; follows the read from host to host, and never holds two."""

    def __init__(self, slots: HostSlots, limit: int, stopping: threading.Event) -> None:
        """Holds nothing yet."""
        self._slots = slots
        self._limit = limit
        self._stopping = stopping
        self._host: str | None = None

    def adopt(self, host: str | None) -> None:
        """Takes over a slot that `try_take` has taken."""
        self._host = host

    def move_to(self, host: str | None) -> None:
        """Gives the slot back and takes one at another host, waiting for it."""
        if host != self._host:
            self.release()
            self._slots.take(host, self._limit, self._stopping)
            self._host = host

    def release(self) -> None:
        """Gives the slot back."""
        held, self._host = self._host, None
        with self._slots.lock:
            self._slots.give_back(held)

    def __enter__(self) -> "Hold":
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives the slot back."""
        self.release()
