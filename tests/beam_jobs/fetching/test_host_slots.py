import threading
import time

import pytest

from beam_jobs.fetching.errors import ReadStoppedError
from beam_jobs.fetching.host_slots import Hold, HostSlots, host_of


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://Photos.org/a.jpg", "photos.org:80"),
        ("HTTPS://photos.org/a.jpg", "photos.org:443"),
        ("https://photos.org:8443/a.jpg", "photos.org:8443"),
        ("http://me:secret@photos.org?a=b", "photos.org:80"),
        ("http://[2606:4700::1]/a", "2606:4700::1:80"),
        ("gs://bucket/folder/a.jpg", "gs://bucket"),
        ("S3://bucket", "s3://bucket"),
        ("hdfs://name:9000/a", "hdfs://name:9000"),
        ("/a/b.jpg", None),
        ("a.jpg", None),
        ("file:///a.jpg", None),
        ("http://[::1", None),
        ("http://x:port/", None),
        ("", None),
    ],
)
def test_a_host_is_whoever_answers(uri, expected):
    assert host_of(uri) == expected


def test_slots_are_counted_for_each_host():
    slots = HostSlots()
    with slots.lock:
        assert [slots.try_take("a", 2) for _ in range(3)] == [True, True, False]
        assert slots.try_take("b", 2)
        assert all(slots.try_take(None, 1) for _ in range(9))
        slots.give_back("a")
        slots.give_back(None)
        assert slots.try_take("a", 2)
    assert (slots.count("a"), slots.count("b"), slots.count("c")) == (2, 1, 0)


def test_a_hold_follows_the_read_and_never_holds_two():
    slots = HostSlots()
    with Hold(slots, 1, threading.Event()) as hold:
        for host, counts in (("a", (1, 0)), ("a", (1, 0)), ("b", (0, 1)), (None, (0, 0))):
            hold.move_to(host)
            assert (slots.count("a"), slots.count("b")) == counts
        hold.move_to("b")
    assert slots.count("b") == 0


def test_two_that_redirect_to_each_other_do_not_wait_forever():
    slots = HostSlots()

    def go(first: str, second: str) -> None:
        for _ in range(300):
            with Hold(slots, 1, threading.Event()) as hold:
                hold.move_to(first)
                hold.move_to(second)

    threads = [threading.Thread(target=go, args=way) for way in (("a", "b"), ("b", "a")) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert (slots.count("a"), slots.count("b")) == (0, 0)


def test_one_that_waits_gets_the_slot_or_is_stopped():
    slots = HostSlots()
    stopping = threading.Event()
    outcome: list[str] = []

    def wait() -> None:
        try:
            slots.take("a", 1, stopping)
            outcome.append("taken")
        except ReadStoppedError:
            outcome.append("stopped")

    slots.take("a", 1, stopping)
    waiting = [threading.Thread(target=wait) for _ in range(2)]
    for thread in waiting:
        thread.start()
    time.sleep(0.05)
    assert outcome == []
    with slots.lock:
        slots.give_back("a")
    while not outcome:
        time.sleep(0.01)
    assert outcome == ["taken"]
    stopping.set()
    with slots.lock:
        slots.notify()
    for thread in waiting:
        thread.join(5)
    assert outcome == ["taken", "stopped"]


def test_listeners_hear_of_free_slots():
    slots = HostSlots()
    condition = threading.Condition(slots.lock)
    heard: list[bool] = []

    def listen() -> None:
        with slots.lock:
            heard.append(condition.wait(5))

    slots.take("a", 1, threading.Event())
    slots.listen(condition)
    thread = threading.Thread(target=listen)
    thread.start()
    time.sleep(0.05)
    with slots.lock:
        slots.give_back("a")
    thread.join(5)
    slots.unlisten(condition)
    assert heard == [True]
