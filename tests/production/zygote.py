"""A process that has imported everything and forks one child for each job it is told to run.

Importing TensorFlow and Beam takes seconds; a test that kills a job twenty times cannot wait for
it each time. The zygote only imports: nothing of TensorFlow or Beam has run in it, so each child
is as fresh as a process of its own. Each child leads a process group, and dies by real signals.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Zygote:
    """Starts jobs; a context manager. One thread uses it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.production.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert self._answer() == "ready"

    def __enter__(self) -> "Zygote":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(30)

    def start(self, words: list[str], log: Path) -> "Job":
        """Starts `caption-images` with its output in a file."""
        return Job(self, int(self.ask({"start": words, "log": str(log)})))

    def ask(self, request: dict) -> str:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        return self._process.stdout.readline().strip()


class Job:
    """A running child; `status` is its exit code (negative: the signal), None while it runs."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self._zygote = zygote
        self.pid = pid
        self._status: int | None = None

    @property
    def status(self) -> int | None:
        if self._status is None:
            answer = self._zygote.ask({"poll": self.pid})
            self._status = None if answer == "running" else int(answer)
        return self._status

    def wait(self, limit_secs: float = 120.0) -> int:
        end_secs = time.monotonic() + limit_secs
        while self.status is None:
            assert time.monotonic() < end_secs, "the job hangs"
            time.sleep(0.02)
        return self.status

    def kill(self) -> int:
        """Kills the job and all its children; returns the exit status, 0 where it was done."""
        if self.status is None:
            os.killpg(self.pid, signal.SIGKILL)
        return self.wait()


def _serve() -> None:
    import apache_beam  # noqa: F401
    import tensorflow  # noqa: F401

    import model_lib.captioner  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "start" in request:
            print(_fork(request["start"], request["log"]), file=answers, flush=True)
        else:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            code = "running" if pid == 0 else os.waitstatus_to_exitcode(status)
            print(code, file=answers, flush=True)


def _fork(words: list[str], log: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from beam_jobs import caption_images

    code = 3
    try:
        code = caption_images.main(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return 0


if __name__ == "__main__":
    _serve()
