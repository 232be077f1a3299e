import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.services.processes import ServiceError, free_ports, running

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import os, sys, time
from pathlib import Path
from tests.services.processes import running
def command(ports):
    return [sys.executable, "-m", "http.server", "-b", "127.0.0.1", str(ports[0])]
with running(command, Path(sys.argv[1])) as ports:
    print(ports[0], flush=True)
    time.sleep(60)
"""


def web(ports: list[int]) -> list[str]:
    return [sys.executable, "-m", "http.server", "-b", "127.0.0.1", str(ports[0])]


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
    except OSError:
        return False
    return True


def test_ports_are_distinct():
    assert len(set(free_ports(20))) == 20


def test_a_server_runs_while_the_context_lasts(tmp_path):
    with running(web, tmp_path) as [port]:
        assert answers(port)
    assert not answers(port)


def test_what_does_not_start_says_why(tmp_path):
    def broken(ports: list[int]) -> list[str]:
        return [sys.executable, "-c", f"raise SystemExit('no luck on {len(ports)} port')"]

    with (
        pytest.raises(ServiceError, match=r"did not start; (?s:.*)no luck on 1 port"),
        running(broken, tmp_path),
    ):
        pass


def test_a_server_ends_with_the_process_that_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        port = int(holder.stdout.readline())
        assert answers(port)
        os.kill(holder.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while answers(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not answers(port)
