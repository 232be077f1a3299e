"""The most memory that this process has held, as the operating system counts it."""

import resource
import sys

_STATUS_FILE = "/proc/self/status"
_KIB = 1024


def peak_memory_bytes() -> int:
    """Returns the largest resident size of this process so far, in bytes.

    Linux tells it under `VmHWM`. `getrusage`, which is asked elsewhere, may tell the size of the
    process that started this one, where that was larger.
    """
    try:
        with open(_STATUS_FILE, "rb") as stream:
            for line in stream:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * _KIB
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB
