"""Runs a command and ends it, whatever happens, when its own standard input is closed.

The test process holds the other end of that pipe: where it is killed, the system closes it. Run
as a program of its own: `python supervisor.py COMMAND ARGUMENT...`; its exit code is the
command's.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
POLL_SECS = 0.2


def die_with_parent() -> None:
    """Asks Linux to kill this process when the one that started it is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    child = subprocess.Popen(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        # This program has one thread, so that code may run between fork and exec.
        preexec_fn=die_with_parent if sys.platform == "linux" else None,
    )
    while child.poll() is None:
        readable, _, _ = select.select([0], [], [], POLL_SECS)
        if readable and not os.read(0, 1):
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    return child.returncode


if __name__ == "__main__":
    sys.exit(main())
