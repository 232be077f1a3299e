import threading

import pytest
import tensorflow as tf

from model_lib.streams import Streams, cpu_streams, split


@pytest.mark.parametrize(
    ("count", "batch_size", "streams", "sizes"),
    [
        (0, 64, 2, []),
        (1, 64, 2, [1]),
        (31, 64, 2, [31]),
        (32, 64, 2, [16, 16]),
        (33, 64, 2, [17, 16]),
        (64, 64, 2, [32, 32]),
        (64, 64, 1, [64]),
        (64, 64, 3, [22, 22, 20]),
        (64, 64, 16, [16, 16, 16, 16]),
        (40, 32, 2, [16, 16, 8]),
        (5, 2, 8, [2, 2, 1]),
    ],
)
def test_split(count: int, batch_size: int, streams: int, sizes: list[int]) -> None:
    parts = list(split(range(count), batch_size, streams))
    assert [len(part) for part in parts] == sizes
    assert [item for part in parts for item in part] == list(range(count))


@pytest.fixture
def two() -> Streams:
    return Streams(2)


def test_parts_run_side_by_side_and_come_back_in_order(two: Streams) -> None:
    both_there = threading.Barrier(2, timeout=30)

    def function(part: range) -> tuple[str, list[int]]:
        both_there.wait()
        return threading.current_thread().name, list(part)

    (first, low), (second, high) = two.map(function, range(32), 32)
    assert first != second
    assert (low, high) == (list(range(16)), list(range(16, 32)))


@pytest.mark.parametrize(("count", "items"), [(1, 200), (2, 31)])
def test_one_stream_and_one_part_stay_in_the_caller_s_thread(count: int, items: int) -> None:
    threads = Streams(count).map(lambda part: threading.current_thread(), range(items), 64)
    assert set(threads) == {threading.current_thread()}


def test_an_error_of_a_part_is_raised(two: Streams) -> None:
    def function(part: range) -> int:
        if 20 in part:
            raise ValueError("the second part")
        return len(part)

    with pytest.raises(ValueError, match="the second part"):
        two.map(function, range(32), 32)
    assert two.map(function, range(20), 32) == [20]


def test_cpu_streams_are_tensorflow_s_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    assert cpu_streams() == 6
    for given, expected in (("3", 3), ("0", 6), ("many", 6)):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", given)
        assert cpu_streams() == expected
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 2)
    assert cpu_streams() == 2
