"""The batch size at which a device is fastest, found by trial.

Takes a function that runs a batch of a given size; gives the size. It doubles until throughput
stops growing or memory ends, which is where a GPU is full; every size costs a trace.
"""

import logging
import time
from collections.abc import Callable

from beam_jobs.gpu_memory import is_out_of_memory

SMALLEST = 8
LARGEST = 256
# A doubled batch must be faster by this much to be worth its memory.
MIN_GAIN = 1.05

logger = logging.getLogger(__name__)


def find_batch_size(
    run: Callable[[int], None],
    largest: int = LARGEST,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Returns the batch size to use.

    Args:
        run: runs one batch of that many images; its first call with a size may take longer.
        largest: biggest size to try.
        clock: tells the time, in seconds.

    Returns:
        The largest size that was still faster than half of it; 1 where even `SMALLEST` images
        need more memory than there is.

    Raises:
        Exception: what `run` raises, unless it is for want of memory.
    """
    best, best_rate, size = 1, 0.0, min(SMALLEST, largest)
    while size <= largest:
        try:
            run(size)
            started_secs = clock()
            run(size)
            rate = size / max(clock() - started_secs, 1e-9)
        # Any kind: TensorFlow, CUDA and Python each have their own.
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            break
        logger.info("batches of %d: %.1f images/s", size, rate)
        if rate < best_rate * MIN_GAIN:
            break
        best, best_rate, size = size, rate, size * 2
    return best
