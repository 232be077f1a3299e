"""A job service and a worker pool as processes of their own, each in a folder of its own.

They share nothing with the launcher but the network and the files that the job names: that is
how Flink, Spark and Dataflow run Beam.
"""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.services.processes import SUPERVISOR, free_ports

WORKERS = 2
READY_SECS = 60.0
JOB_SERVICE = str(Path(__file__).with_name("job_service.py"))
ROOT = str(Path(__file__).resolve().parents[2])


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A running job service and its worker pool.

    Attributes:
        job_port: of the job service.
        pool_port: of the worker pool.
        supervisor: process id of the pool's supervisor, from which its workers descend.
        folder: where the servers keep their files and logs.
    """

    job_port: int
    pool_port: int
    supervisor: int
    folder: Path

    def flags(self) -> list[str]:
        """What the job's command line says to run here."""
        return [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{self.job_port}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{self.pool_port}",
            f"--direct_num_workers={WORKERS}",
        ]

    def workers(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [pid for pool in _children(self.supervisor) for pid in _children(pool)]

    def workers_with_tensorflow(self) -> set[int]:
        """Those of them that have loaded TensorFlow, as a worker does that captions."""
        return {pid for pid in self.workers() if _has_tensorflow(pid)}

    def log(self) -> str:
        """What the workers wrote."""
        return (self.folder / "pool" / "log").read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Runs both servers while the context lasts; they also end when this process is killed."""
    job_port, pool_port = free_ports(2)
    pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
    jobs = [sys.executable, JOB_SERVICE, str(job_port), str(folder / "jobs" / "staging")]
    with (
        _supervised(jobs, folder / "jobs", job_port),
        _supervised([*pool, "--service_port", str(pool_port)], folder / "pool", pool_port) as pid,
    ):
        yield Cluster(job_port, pool_port, pid, folder)


@contextlib.contextmanager
def _supervised(command: Sequence[str], folder: Path, port: int) -> Iterator[int]:
    folder.mkdir(parents=True)
    # The pool starts `python`: that of these tests must come first. The folder is empty, so the
    # packages are found as on another machine: where they are installed, or by their path.
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "PYTHONPATH": ROOT, "TMPDIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-E", "-S", SUPERVISOR, *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: process.poll() is not None or _listens(port), f"{command} listens")
        assert process.poll() is None, (folder / "log").read_text()
        yield process.pid
    finally:
        process.stdin.close()
        process.wait(timeout=READY_SECS)


@contextlib.contextmanager
def observing(cluster: Cluster) -> Iterator[set[int]]:
    """Gathers the workers that have captioned while the context lasts."""
    seen: set[int] = set()
    stopped = threading.Event()

    def look() -> None:
        while not stopped.wait(0.1):
            seen.update(cluster.workers_with_tensorflow())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stopped.set()
        thread.join()


def wait_until(holds: Callable[[], bool], what: str, secs: float = READY_SECS) -> None:
    """Waits until something holds; fails where it takes too long."""
    deadline = time.monotonic() + secs
    while not holds():
        assert time.monotonic() < deadline, f"not within {secs} s: {what}"
        time.sleep(0.05)


def kill(pid: int) -> None:
    """Ends one process at once, as a machine that is switched off."""
    os.kill(pid, signal.SIGKILL)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _children(pid: int) -> list[int]:
    """Process ids whose parent is this one; Linux only, as the whole job."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # "pid (name) state parent ...", where a name may hold spaces and brackets.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid and fields[0] != "Z":
                    found.append(int(entry.name))
    return sorted(found)


def _has_tensorflow(pid: int) -> bool:
    try:
        return "libtensorflow" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False
