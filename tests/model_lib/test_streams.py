import threading

import pytest

from model_lib.streams import Streams, split


@pytest.mark.parametrize(
    ("count", "batch_size", "streams", "smallest", "sizes"),
    [
        (0, 64, 2, 16, []),
        (1, 64, 2, 16, [1]),
        (31, 64, 2, 16, [31]),
        (32, 64, 2, 16, [16, 16]),
        (33, 64, 2, 16, [17, 16]),
        (64, 64, 2, 16, [32, 32]),
        (64, 64, 1, 16, [64]),
        (64, 64, 3, 16, [22, 22, 20]),
        (64, 64, 16, 16, [16, 16, 16, 16]),
        (40, 32, 2, 16, [16, 16, 8]),
        (5, 2, 8, 16, [2, 2, 1]),
        (7, 64, 2, 4, [7]),
        (8, 64, 2, 4, [4, 4]),
        (20, 64, 8, 4, [4, 4, 4, 4, 4]),
    ],
)
def test_split(count: int, batch_size: int, streams: int, smallest: int, sizes: list[int]) -> None:
    parts = list(split(range(count), batch_size, streams, smallest))
    assert [len(part) for part in parts] == sizes
    assert [item for part in parts for item in part] == list(range(count))


@pytest.fixture
def two() -> Streams:
    return Streams(2, 16)


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
    threads = Streams(count, 16).map(lambda part: threading.current_thread(), range(items), 64)
    assert set(threads) == {threading.current_thread()}


def test_an_error_of_a_part_is_raised(two: Streams) -> None:
    def function(part: range) -> int:
        if 20 in part:
            raise ValueError("the second part")
        return len(part)

    with pytest.raises(ValueError, match="the second part"):
        two.map(function, range(32), 32)
    assert two.map(function, range(20), 32) == [20]
