"""Servers as child processes of the tests: free ports, a wait until they answer, a certain end."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

SUPERVISOR = str(Path(__file__).with_name("supervisor.py"))
STARTS = 3
READY_SECS = 60.0
LOG_CHARS = 2000


class ServiceError(Exception):
    """A server of the tests did not start; the message holds the end of its log."""


def free_ports(count: int) -> list[int]:
    """Returns ports of the loopback address on which nothing listens now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def running(
    command: Callable[[list[int]], Sequence[str]],
    folder: Path,
    ready_path: str = "/",
    num_ports: int = 1,
    environment: Mapping[str, str] | None = None,
) -> Iterator[list[int]]:
    """Runs a server while the context lasts; it also ends when this process is killed.

    Another process may take a port between its choice and its use: then the server ends early
    and is started once more, on other ports.

    Args:
        command: makes the command line from the ports.
        folder: for the log, which is named after the command.
        ready_path: path on the first port that is answered once the server is ready.
        num_ports: how many ports the command needs.
        environment: variables besides those of this process.

    Yields:
        The ports.

    Raises:
        ServiceError: where it does not start.
    """
    with contextlib.ExitStack() as stack:
        for start in range(1, STARTS + 1):
            ports = free_ports(num_ports)
            arguments = command(ports)
            log = folder / f"{Path(arguments[0]).name}.log"
            process = stack.enter_context(_supervised(arguments, log, environment or {}))
            if _is_ready(process, f"http://127.0.0.1:{ports[0]}{ready_path}"):
                break
            stack.close()
            if start == STARTS:
                raise ServiceError(f"{' '.join(arguments)}: did not start; {_end_of(log)}")
        yield ports


@contextlib.contextmanager
def _supervised(
    arguments: Sequence[str], log: Path, environment: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-E", "-S", SUPERVISOR, *arguments],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(timeout=READY_SECS)


def _is_ready(process: "subprocess.Popen[bytes]", url: str) -> bool:
    """Waits until the address is answered; any status below 500 will do."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + READY_SECS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            opener.open(url, timeout=5).close()
            return True
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return True
        except OSError:
            pass
        time.sleep(0.05)
    return False


def _end_of(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")[-LOG_CHARS:]
    return f"the end of {log}:\n{text}"
