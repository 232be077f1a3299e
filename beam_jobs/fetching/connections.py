"""Connections for `requests` that go to checked addresses, keep a deadline, and can be broken off.

`GuardedAdapter` puts its own connection classes into urllib3, so that all the rest (TLS, which is
verified against the host's name as ever; keep-alive; chunked and compressed bodies; proxies) stays
urllib3's. Assumes that one thread at a time reads through an adapter; another may `break_off`.
"""

import contextlib
import http.client
import io
import math
import socket
import threading
import time
from typing import Any, ClassVar

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from beam_jobs.fetching.addresses import Endpoint, IsAllowed, endpoints
from beam_jobs.fetching.errors import (
    BrokenConnectionError,
    FetchTimeoutError,
    ReadStoppedError,
)

HOSTS_KEPT = 4


class SocketWatch:
    """Knows the socket that is in use, so that another thread can break it off.

    It keeps a duplicate of the descriptor: a socket that TLS has wrapped is another object, but
    shutting the duplicate down ends a blocked read of either.
    """

    def __init__(self) -> None:
        """Watches nothing yet."""
        self._lock = threading.Lock()
        self._stopped = False
        self._current: socket.socket | None = None

    def watch(self, used: socket.socket) -> None:
        """Watches this socket instead of the one before.

        Raises:
            ReadStoppedError: after `break_off`.
        """
        with self._lock:
            self._forget()
            if self._stopped:
                raise ReadStoppedError("the job ends")
            self._current = socket.fromfd(used.fileno(), used.family, used.type)

    def break_off(self) -> None:
        """Ends what the socket is doing, and all that come later."""
        with self._lock:
            self._stopped = True
            if self._current:
                # It may be closed, or not connected yet.
                with contextlib.suppress(OSError):
                    self._current.shutdown(socket.SHUT_RDWR)

    def unwatch(self) -> None:
        """Watches nothing; until then the connection is open even where its owner closed it."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._current:
            self._current.close()
            self._current = None


class _DeadlineStream(io.RawIOBase):
    """What a socket receives until the time is up, however little comes at a time."""

    def __init__(self, received: io.RawIOBase, used: socket.socket, deadline: float) -> None:
        super().__init__()
        self._received = received
        self._socket = used
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(_left_secs(self._deadline))
        return self._received.readinto(buffer)

    def close(self) -> None:
        self._received.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    """An answer whose head and body must both come within the socket's time limit."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        limit_secs = sock.gettimeout()
        if limit_secs is not None:
            received = self.fp.detach()
            stream = _DeadlineStream(received, sock, time.monotonic() + limit_secs)
            self.fp = io.BufferedReader(stream)


class _GuardedConnection(HTTPConnection):
    is_allowed: ClassVar[IsAllowed | None]
    sockets: ClassVar[SocketWatch]
    response_class = _DeadlineResponse

    def _new_conn(self) -> socket.socket:
        deadline = time.monotonic() + (self.timeout or math.inf)
        # The name as DNS wants it: with the dot at its end where it has one.
        *others, last = endpoints(self._dns_host, self.port, type(self).is_allowed)
        for number, endpoint in enumerate(others):
            share = 1 / (len(others) + 1 - number)
            with contextlib.suppress(OSError):
                return self._connect_to(endpoint, deadline, share)
        try:
            return self._connect_to(last, deadline)
        except OSError as error:
            where = f"{self.host} at {last.ip} port {self.port}"
            if isinstance(error, TimeoutError):
                raise FetchTimeoutError(f"no connection to {where} in time") from error
            reason = error.strerror or error
            raise BrokenConnectionError(f"no connection to {where}: {reason}") from error

    def _connect_to(self, endpoint: Endpoint, deadline: float, share: float = 1.0) -> socket.socket:
        """Connects within a share of what is left of the time."""
        made = socket.socket(endpoint.family, endpoint.kind, endpoint.protocol)
        try:
            for option in self.socket_options or ():
                made.setsockopt(*option)
            made.settimeout(_left_secs(deadline, share))
            self.sockets.watch(made)
            made.connect(endpoint.address)
            # For what comes before the first answer, such as TLS.
            made.settimeout(_left_secs(deadline))
        except BaseException:
            made.close()
            raise
        return made

    def getresponse(self) -> Any:
        # A connection that was kept open is in use again.
        self.sockets.watch(self.sock)
        return super().getresponse()


class _GuardedHTTPSConnection(_GuardedConnection, HTTPSConnection):
    pass


class GuardedAdapter(HTTPAdapter):
    """Mounted for `http://` and `https://`, makes all connections of a `requests.Session`."""

    def __init__(self, is_allowed: IsAllowed | None, sockets: SocketWatch) -> None:
        """Keeps a few connections open between requests.

        Args:
            is_allowed: judges every address of every host; all are allowed where it is None.
            sockets: is told which socket is in use.
        """
        rules = {"is_allowed": staticmethod(is_allowed) if is_allowed else None, "sockets": sockets}
        self._pool_classes = {
            "http": _pool_class(HTTPConnectionPool, _GuardedConnection, rules),
            "https": _pool_class(HTTPSConnectionPool, _GuardedHTTPSConnection, rules),
        }
        super().__init__(pool_connections=HOSTS_KEPT, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Makes urllib3's manager, as `requests` calls for it."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Makes urllib3's manager of a proxy, as `requests` calls for it."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        # A SOCKS proxy has connection classes of its own.
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pool_classes
        return manager


def _left_secs(deadline: float, share: float = 1.0) -> float | None:
    """What is left of the time, above zero, which would mean not to wait; None for no limit."""
    left = (deadline - time.monotonic()) * share
    return None if left == math.inf else max(left, 1e-3)


def _pool_class(pool: type, connection: type, rules: dict[str, Any]) -> type:
    guarded = type(connection.__name__, (connection,), rules)
    return type(pool.__name__, (pool,), {"ConnectionCls": guarded})
