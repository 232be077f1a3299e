import pytest
import tensorflow as tf

from model_lib.cores import CoreShares, core_shares
from tests.fresh_python import run_fresh

# What TensorFlow itself says, before its first operation and after it.
PROGRAM = """
import os
os.cpu_count = lambda: {cores}
import tensorflow as tf
from model_lib.cores import core_shares, share_cores
tf.config.threading.set_intra_op_parallelism_threads({chosen})
if {started}:
    tf.zeros(1)
share_cores({batch_size})
print(tf.config.threading.get_intra_op_parallelism_threads(), core_shares())
share_cores(1)
print(core_shares())
"""


def shares_of(environment: dict[str, str] | None = None, **values: int) -> list[str]:
    program = PROGRAM.format(**{"cores": 4, "chosen": 0, "started": 0, "batch_size": 128, **values})
    return run_fresh(program, environment or {}).stdout.splitlines()


@pytest.mark.parametrize(
    ("cores", "batch_size", "threads", "streams"),
    [
        (1, 128, 1, 1),
        (2, 128, 1, 2),
        (2, 16, 2, 1),
        (2, 1, 2, 1),
        (16, 128, 2, 8),
        (12, 128, 2, 6),
        (3, 32, 2, 2),
    ],
)
def test_operations_get_the_threads_that_parts_of_batches_leave(
    cores: int, batch_size: int, threads: int, streams: int
) -> None:
    first, again = shares_of(cores=cores, batch_size=batch_size)
    expected = str(CoreShares(streams, threads, 4))
    assert first == f"{threads} {expected}"
    assert again == expected


def test_a_worker_process_shares_its_own_cores() -> None:
    first, _ = shares_of({"TF_NUM_INTRAOP_THREADS": "2"}, cores=8)
    assert first == f"1 {CoreShares(2, 1, 4)}"


def test_what_tensorflow_was_told_before_stays() -> None:
    assert shares_of(chosen=3)[0] == f"3 {CoreShares(3, 1, 16)}"


def test_where_tensorflow_has_started_its_threads_nothing_changes() -> None:
    assert shares_of(started=1)[0] == f"0 {CoreShares(4, 1, 16)}"


@pytest.mark.parametrize(("given", "cores"), [("", 6), ("3", 3), ("0", 6), ("many", 6)])
def test_without_sharing_each_core_has_a_stream(
    monkeypatch: pytest.MonkeyPatch, given: str, cores: int
) -> None:
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", given)
    assert core_shares() == CoreShares(cores, 1, 16)
    assert core_shares(on_gpu=True) == CoreShares(1, cores, 16)
