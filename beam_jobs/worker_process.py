"""A worker process of the local runner: Beam's own, which leaves the screen to the launcher.

Its log goes to the launcher in Beam's way, which shows what is of interest. But where a module
that Beam imports logs a warning before that, Python writes all that follows to standard error, and
a dozen lines of each worker were on the screen. So were, after Ctrl-C, tracebacks of all threads
that lost their connection.

    python -m beam_jobs.worker_process      with Beam's variables; `local_runner` starts it
"""

import ctypes
import logging
import signal
import sys

_PR_SET_PDEATHSIG = 1  # of Linux's prctl.h


def main() -> None:
    """Works until the launcher says that it is enough, or is gone."""
    # A terminal sends Ctrl-C to the workers too; it is the launcher's to end them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":  # elsewhere a worker ends when it finds its connection broken
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # With a handler there Python sets up none that writes to standard error.
    logging.getLogger().addHandler(logging.NullHandler())
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
