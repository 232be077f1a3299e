"""How the launcher learns, while the pipeline runs, how far it is.

Beam's local runner gives its counters only when it has finished. So the pipeline's steps send
what they did as small datagrams to the launcher on the same machine: it works for steps in
threads, in worker processes and in a worker pool alike. A datagram may be lost and a retried
step reports twice: this is a display, and nothing else is computed from it. A sender without an
address does nothing, which is the case wherever the workers are not on this machine.
"""

import dataclasses
import json
import socket
import threading
import time
from typing import Any

SEND_EVERY_SECS = 0.2
MAX_DATAGRAM_BYTES = 4096


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is: images to do (0 while unknown), images done, and failures among them."""

    total: int = 0
    done: int = 0
    failed: int = 0

    def plus(self, *, total: int = 0, done: int = 0, failed: int = 0) -> "Progress":
        """Returns the sum."""
        return Progress(self.total + total, self.done + done, self.failed + failed)


class ProgressSender:
    """Worker's end: adds up and sends at most every `SEND_EVERY_SECS`. Pickles without socket."""

    def __init__(self, address: tuple[str, int] | None = None, token: str = "") -> None:
        """Keeps where to send.

        Args:
            address: host and port of a `ProgressListener`; None to send nothing.
            token: what the listener expects, so that a stray datagram counts for nothing.
        """
        self._address = address
        self._token = token
        self._pending = Progress()
        self._socket: socket.socket | None = None
        self._sent_at_secs = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the socket and what is pending behind."""
        return {**self.__dict__, "_pending": Progress(), "_socket": None}

    def add(self, *, total: int = 0, done: int = 0, failed: int = 0) -> None:
        """Adds to what is to be sent, and sends it when it is time."""
        if self._address is None:
            return
        self._pending = self._pending.plus(total=total, done=done, failed=failed)
        if time.monotonic() - self._sent_at_secs >= SEND_EVERY_SECS:
            self.flush()

    def flush(self) -> None:
        """Sends what is pending; an error is passed over, the work matters more."""
        if self._address is None or self._pending == Progress():
            return
        message = {"token": self._token, **dataclasses.asdict(self._pending)}
        try:
            self._socket = self._socket or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.sendto(json.dumps(message).encode(), self._address)
        except OSError:
            return
        self._pending = Progress()
        self._sent_at_secs = time.monotonic()


class ProgressListener:
    """Launcher's end: sums up what the workers send. A context manager."""

    def __init__(self, token: str) -> None:
        """Opens a port of the loopback address.

        Args:
            token: datagrams without it are ignored.
        """
        self._token = token
        self._progress = Progress()
        self._closed = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(SEND_EVERY_SECS)
        self._thread = threading.Thread(target=self._listen, name="progress", daemon=True)
        self._thread.start()

    def __enter__(self) -> "ProgressListener":
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the port."""
        self._closed = True
        self._thread.join()
        self._socket.close()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to send to."""
        host, port = self._socket.getsockname()
        return host, port

    @property
    def progress(self) -> Progress:
        """The sums so far."""
        return self._progress

    def _listen(self) -> None:
        while not self._closed:
            try:
                data = self._socket.recv(MAX_DATAGRAM_BYTES)
            except TimeoutError:
                continue
            self._progress = _add_message(self._progress, data, self._token)


def _add_message(progress: Progress, data: bytes, token: str) -> Progress:
    """Adds a datagram; one that is not ours changes nothing."""
    try:
        message = json.loads(data)
        if message.pop("token") != token:
            return progress
        return progress.plus(**{name: int(value) for name, value in message.items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return progress
