"""Memory that was freed goes back to the operating system.

To compile a graph takes many times its constants, for a moment. glibc keeps what is freed between
blocks in use, a few hundred MB for the default bundle, until it is told not to. Knows neither
TensorFlow nor the captioner.
"""

import ctypes


def return_freed_memory() -> None:
    """Returns the freed memory of this process, where its C library is glibc; others stay alone.

    Takes hundredths of a second. What is allocated later comes from the system anew, so it is for
    after work that is done once.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
