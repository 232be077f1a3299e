"""How the CPU cores of a process are shared: by parts of batches first, then by operations.

Parts of a batch that go through the network side by side keep cores busy; operations that each
spread over all cores as well only disturb each other (docs/performance.md). TensorFlow knows one
number of threads for all operations of a process, so it is for the process's owner to choose it:
the job does, `load_bundle` does not.
"""

import contextlib
import dataclasses
import os

import tensorflow as tf

# The decoder's products of fewer rows than this take longer than what running them aside gains.
_SMALLEST_PART = 16
# Where an operation has few threads, cores without a part of their own would have nothing to do.
_SMALLEST_PART_WHERE_SHARED = 4
# The variable by which TensorFlow itself, and `--workers`, share the cores among processes.
_THREADS_VARIABLE = "TF_NUM_INTRAOP_THREADS"


@dataclasses.dataclass(frozen=True)
class CoreShares:
    """How the cores are shared.

    Attributes:
        streams: parts of batches that go side by side, 1 at least.
        threads: cores for each of them, 1 at least.
        smallest_part: images that a batch is not cut below.
    """

    streams: int
    threads: int
    smallest_part: int


def share_cores(batch_size: int) -> None:
    """Gives TensorFlow's operations in this process as few threads as parts of batches leave.

    Does nothing where there is a GPU, where `tf.config` has a number of threads already, and
    where TensorFlow has started its threads.

    Args:
        batch_size: images of a batch; parts have 16 of them at least, so large machines need
            large batches, or more than one thread an operation.
    """
    threading = tf.config.threading
    given = threading.get_intra_op_parallelism_threads()
    if given or tf.config.list_physical_devices("GPU"):
        return
    cores = _cores()
    streams = max(min(cores, batch_size // _SMALLEST_PART), 1)
    with contextlib.suppress(RuntimeError):  # its threads are there
        threading.set_intra_op_parallelism_threads(-(-cores // streams))
        os.environ[_THREADS_VARIABLE] = str(cores)


def core_shares(*, on_gpu: bool = False) -> CoreShares:
    """Returns how the cores of this process are shared now; a GPU takes batches one by one."""
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    if on_gpu:
        return CoreShares(1, threads or _cores(), _SMALLEST_PART)
    if not threads or not _given_cores():
        return CoreShares(threads or _cores(), 1, _SMALLEST_PART)
    streams = max(-(-_given_cores() // threads), 1)
    return CoreShares(streams, threads, _SMALLEST_PART_WHERE_SHARED)


def _cores() -> int:
    return _given_cores() or os.cpu_count() or 1


def _given_cores() -> int:
    given = os.environ.get(_THREADS_VARIABLE, "")
    return int(given) if given.isdigit() else 0
