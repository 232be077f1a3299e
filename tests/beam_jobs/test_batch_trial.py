import pytest

from beam_jobs.batch_trial import find_batch_size


class Device:
    """Takes a fixed time for a batch, and some for each image; has room for so many."""

    def __init__(self, fixed: float, each: float, room: int = 10_000) -> None:
        self.fixed, self.each, self.room = fixed, each, room
        self.now, self.tried = 0.0, []

    def run(self, size: int) -> None:
        if size > self.room:
            raise MemoryError("OOM when allocating")
        first = size not in self.tried
        self.tried.append(size)
        self.now += self.fixed + size * self.each + (100.0 if first else 0.0)

    def best(self, **limits: int) -> int:
        return find_batch_size(self.run, clock=lambda: self.now, **limits)


def test_it_doubles_until_throughput_stops_growing():
    # Rates: 8 -> 0.44, 16 -> 0.62, 32 -> 0.76, 64 -> 0.86, 128 -> 0.93 (x 1.07), 256 -> 0.96.
    assert Device(10.0, 1.0).best() == 128


def test_a_device_that_gains_nothing_keeps_small_batches():
    device = Device(0.0, 1.0)
    assert device.best() == 8
    assert device.tried == [8, 8, 16, 16]


def test_it_stops_where_memory_ends():
    assert Device(1000.0, 1.0, room=40).best() == 32
    assert Device(1000.0, 1.0, room=7).best() == 1


def test_it_tries_no_more_than_is_allowed():
    device = Device(1e6, 1.0)
    assert device.best(largest=64) == 64
    assert max(device.tried) == 64


def test_another_error_is_not_hidden():
    def run(size: int) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        find_batch_size(run)
