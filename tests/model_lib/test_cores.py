import pytest
import tensorflow as tf

from model_lib.cores import CoreShares, core_shares
from tests.fresh_python import run_fresh

# In a Python of its own, where TensorFlow has not started its threads until the last case does.
# A case: cores of the machine, TF_NUM_INTRAOP_THREADS, what tf.config was told, images of a batch.
PROGRAM = """
import os
import tensorflow as tf
from model_lib.cores import core_shares, share_cores

threading = tf.config.threading

def tell(cores, given, told, batch_size):
    os.cpu_count = lambda: cores
    os.environ["TF_NUM_INTRAOP_THREADS"] = given
    threading.set_intra_op_parallelism_threads(told)
    share_cores(batch_size)
    print(threading.get_intra_op_parallelism_threads(), core_shares())

for case in {cases}:
    tell(*case)
share_cores(1)
print("again", core_shares())
os.environ["TF_NUM_INTRAOP_THREADS"] = ""
threading.set_intra_op_parallelism_threads(0)
tf.zeros(1)
share_cores(128)
print("started", core_shares())
"""
CASES = {
    (1, "", 0, 128): (1, CoreShares(1, 1, 4)),
    (16, "", 0, 128): (2, CoreShares(8, 2, 4)),
    (12, "", 0, 128): (2, CoreShares(6, 2, 4)),
    (3, "", 0, 32): (2, CoreShares(2, 2, 4)),
    (2, "", 0, 16): (2, CoreShares(1, 2, 4)),
    (2, "", 0, 1): (2, CoreShares(1, 2, 4)),
    (8, "2", 0, 128): (1, CoreShares(2, 1, 4)),  # a worker process with its own share
    (4, "", 3, 128): (3, CoreShares(3, 1, 16)),  # what TensorFlow was told before stays
    (2, "", 0, 128): (1, CoreShares(2, 1, 4)),
}


def test_operations_get_the_threads_that_parts_of_batches_leave() -> None:
    lines = run_fresh(PROGRAM.format(cases=list(CASES)), {}).stdout.splitlines()
    found = dict(zip(CASES, lines, strict=False))
    assert found == {case: f"{threads} {shares}" for case, (threads, shares) in CASES.items()}
    again, started = lines[len(CASES) :]
    assert again == f"again {CoreShares(2, 1, 4)}"
    # Where TensorFlow has started its threads nothing changes.
    assert started == f"started {CoreShares(2, 1, 16)}"


@pytest.mark.parametrize(("given", "cores"), [("", 6), ("3", 3), ("0", 6), ("many", 6)])
def test_without_sharing_each_core_has_a_stream(
    monkeypatch: pytest.MonkeyPatch, given: str, cores: int
) -> None:
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", given)
    assert core_shares() == CoreShares(cores, 1, 16)
    assert core_shares(on_gpu=True) == CoreShares(1, cores, 16)
