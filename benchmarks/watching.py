"""A command in a child process, watched from outside: its seconds, and memory of its whole tree.

Linux only: reads `/proc`. Memory shared between processes is counted once (proportional set
size); the child's own peak is the kernel's high-water mark.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.settings import ROOT

POLL_SECS = 0.25
PROC = Path("/proc")


@dataclasses.dataclass(frozen=True)
class Watched:
    """What a command did.

    Attributes:
        seconds: from its start to its end.
        output: what it wrote to stdout.
        tree_peak_bytes: largest memory of it and its children together.
        own_peak_bytes: largest memory of itself.
        processes: most processes at once.
    """

    seconds: float
    output: str
    tree_peak_bytes: int
    own_peak_bytes: int
    processes: int


def watch(words: Sequence[str], environment: Mapping[str, str] | None = None) -> Watched:
    """Runs `python WORDS` to its end, in the repository's root.

    Args:
        words: after the interpreter, such as `["-m", "benchmarks.child_job", ...]`.
        environment: set on top of this process's own.

    Raises:
        SystemExit: where it fails; with the end of what it said.
    """
    begin = time.perf_counter()
    peak = own_peak = most = 0
    env = {**os.environ, **(environment or {})}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env=env, stdout=output, stderr=errors
        )
        while child.poll() is None:
            tree = _tree(child.pid)
            peak = max(peak, sum(map(_proportional_bytes, tree)))
            own_peak = max(own_peak, _status_bytes(child.pid, "VmHWM"))
            most = max(most, len(tree))
            time.sleep(POLL_SECS)
        seconds = time.perf_counter() - begin
        output.seek(0)
        errors.seek(0)
        if child.returncode:
            raise SystemExit(f"{' '.join(words)}: {child.returncode}\n{errors.read()[-3000:]}")
        return Watched(seconds, output.read(), peak, own_peak, most)


def _tree(pid: int) -> list[int]:
    """Returns a process and all below it."""
    found = [pid]
    for parent in found:
        for task in _text(PROC / str(parent) / "task", listing=True).split():
            children = _text(PROC / str(parent) / "task" / task / "children")
            found.extend(int(child) for child in children.split())
    return found


def _proportional_bytes(pid: int) -> int:
    return _kilobytes(_text(PROC / str(pid) / "smaps_rollup"), "Pss") * 1024


def _status_bytes(pid: int, name: str) -> int:
    return _kilobytes(_text(PROC / str(pid) / "status"), name) * 1024


def _kilobytes(text: str, name: str) -> int:
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def _text(path: Path, listing: bool = False) -> str:
    """Returns a file's text or a folder's names; nothing where the process has ended."""
    try:
        return " ".join(os.listdir(path)) if listing else path.read_text()
    except OSError:
        return ""
