import contextlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from beam_jobs.config import FetchConfig
from beam_jobs.fetching import read_pool
from beam_jobs.fetching.fetcher import Fetcher
from beam_jobs.fetching.host_slots import PROCESS_SLOTS
from beam_jobs.fetching.pauses import local_reads_paused
from beam_jobs.fetching.read_pool import ReadPool, ReadResult
from beam_jobs.inputs.rows import InputRow, Span
from tests.beam_jobs.conftest import JPEG, Web


def config(**changes: object) -> FetchConfig:
    return FetchConfig(
        **{"timeout_secs": 20.0, "attempts": 1, "allow_private_addresses": True, **changes}
    )


def read_all(pool: ReadPool, uris: list[str]) -> list[ReadResult]:
    results = [result for uri in uris for result in pool.submit(InputRow(uri))]
    return results + list(pool.drain())


def pool_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("read-")]


@contextlib.contextmanager
def slow_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    really = Fetcher.fetch_row

    def nap(self, row, held_host=None):
        time.sleep(0.05)
        return really(self, row, held_host)

    with monkeypatch.context() as naps:
        naps.setattr(Fetcher, "fetch_row", nap)
        yield


@pytest.fixture
def pools() -> Iterator[list[ReadPool]]:
    """Pools that are closed after the test, which none of their threads may outlive."""
    opened: list[ReadPool] = []
    yield opened
    for pool in opened:
        pool.close()
    assert pool_threads() == []
    assert not PROCESS_SLOTS._taken
    assert not PROCESS_SLOTS._listeners


@pytest.fixture
def make(pools):
    def make_pool(*args, **kwargs) -> ReadPool:
        pools.append(ReadPool(*args, **kwargs))
        return pools[-1]

    return make_pool


def test_results_come_in_the_order_of_submission_however_long_each_takes(web, make):
    naps = [random.Random(1).random() / 20 for _ in range(80)]
    uris = [web.url(f"nap.jpg?{nap}&{number}") for number, nap in enumerate(naps)]
    results = read_all(make(config(), max_ahead=20), uris)
    assert [result.row.uri for result in results] == uris
    assert {(result.data, result.error) for result in results} == {(JPEG, None)}
    slower = [result.secs >= nap for result, nap in zip(results, naps, strict=True)]
    assert slower == [True] * 80
    assert sum(result.secs for result in results) < 20


def test_rows_keep_what_they_carry_and_failures_what_went_wrong(web, make, tmp_path):
    archive = tmp_path / "shard.tar"
    archive.write_bytes(b"head" + JPEG)
    rows = [
        InputRow(web.url("photo.jpg"), ("a", 1), (0, 7)),
        InputRow(web.url("missing.jpg"), ("b", 2)),
        InputRow("shard.tar#x", ("c", 3), span=Span("shard.tar", 4, len(JPEG))),
        InputRow("gone.jpg"),
        InputRow(web.url("broken.jpg")),
    ]
    pool = make(config(base_folder=str(tmp_path), attempts=2))
    results = [result for row in rows for result in pool.submit(row)] + list(pool.drain())
    assert [result.row for result in results] == rows
    assert [result.data for result in results] == [JPEG, None, JPEG, None, None]
    failed = [
        (type(result.error.__cause__).__name__, result.error.attempts, result.error.transient)
        for result in results
        if result.error
    ]
    assert failed == [
        ("HttpStatusError", 1, False),
        ("FileNotFoundError", 1, False),
        ("HttpStatusError", 2, True),
    ]


@pytest.mark.parametrize(("threads", "limit", "expected"), [(16, 3, 3), (2, 8, 2), (16, 16, 16)])
def test_no_more_reads_than_allowed_go_on_at_one_host(web, make, threads, limit, expected):
    pool = make(config(threads=threads, max_reads_per_host=limit))
    uris = [web.url(f"nap.jpg?0.05&{number}") for number in range(40)]
    assert [result.row.uri for result in read_all(pool, uris)] == uris
    assert web.most_at_once == expected


def test_the_limit_is_shared_by_all_pools_and_fetchers_of_the_process(web, make):
    setting = config(threads=8, max_reads_per_host=3)
    uris = [web.url(f"nap.jpg?0.03&{number}") for number in range(30)]
    done: list[int] = []

    def run() -> None:
        done.append(len(read_all(make(setting), uris)))

    def fetch() -> None:
        done.append(sum(Fetcher(setting).fetch(uri) == JPEG for uri in uris[:5]))

    threads = [threading.Thread(target=run) for _ in range(3)] + [threading.Thread(target=fetch)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(done) == [5, 30, 30, 30]
    assert web.most_at_once == 3


def test_a_host_that_stalls_does_not_hold_up_the_others(web, make):
    slow = Web("127.0.0.2")
    pool = make(config(threads=4, max_reads_per_host=2), max_ahead=200)
    stalled = [slow.url(f"stall.jpg?{number}") for number in range(50)]
    quick = [web.url(f"nap.jpg?0&{number}") for number in range(50)]
    for pair in zip(stalled, quick, strict=True):
        for uri in pair:
            assert pool.submit(InputRow(uri)) == []
    wait_for(lambda: sum(web.requests.values()) == 50)
    assert sum(slow.requests.values()) == 2
    slow.stop()  # Its answers end, and its port is closed.
    results = list(pool.drain())
    assert [result.row.uri for result in results] == [
        uri for pair in zip(stalled, quick, strict=True) for uri in pair
    ]
    assert [result.data for result in results[1::2]] == [JPEG] * 50
    assert all(result.error for result in results[0::2])


def wait_for(condition, timeout_secs: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_secs
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_redirects_count_for_the_host_that_they_lead_to(web, make):
    other = Web("127.0.0.2")
    try:
        uris = [web.url(f"to.jpg?{other.url(f'nap.jpg?0.03&{number}')}") for number in range(20)]
        uris += [other.url(f"nap.jpg?0.03&{number}") for number in range(20, 40)]
        results = read_all(make(config(threads=8, max_reads_per_host=2)), uris)
        assert [result.data for result in results] == [JPEG] * 40
        assert (other.most_at_once, web.most_at_once <= 2) == (2, True)
    finally:
        other.stop()


@pytest.mark.parametrize(
    ("max_ahead", "max_bytes", "fewest", "most"),
    # Ten wait for the first; at most one more in each of the other threads was under way.
    [(100, 10_000, 1 + 10, 1 + 10 + 3), (25, 10**9, 25, 25)],
)
def test_rows_and_bytes_under_way_are_bounded(
    make, tmp_path, monkeypatch, max_ahead, max_bytes, fewest, most
):
    (tmp_path / "a.jpg").write_bytes(bytes(1000))
    first_may_go = threading.Event()
    started: list[int] = []
    really = Fetcher.fetch_row

    def hold_up_the_first(self, row, held_host=None):
        started.append(row.carried[0])
        if row.carried == (0,):
            first_may_go.wait(20)
        return really(self, row, held_host)

    monkeypatch.setattr(Fetcher, "fetch_row", hold_up_the_first)
    pool = make(config(threads=4, base_folder=str(tmp_path)), max_ahead, max_bytes)
    seen: list[int] = []

    def let_go() -> None:
        seen.append(len(started))
        first_may_go.set()

    threading.Timer(1.0, let_go).start()
    results = [
        result for number in range(60) for result in pool.submit(InputRow("a.jpg", (number,)))
    ] + list(pool.drain())
    assert fewest <= seen[0] <= most
    assert [result.row.carried[0] for result in results] == list(range(60))
    assert pool._finished_bytes == 0


@pytest.mark.parametrize("max_ahead", [1, 2, 5])
def test_submitting_waits_where_too_many_rows_are_under_way(make, tmp_path, max_ahead):
    (tmp_path / "a.jpg").write_bytes(JPEG)
    pool = make(config(base_folder=str(tmp_path)), max_ahead=max_ahead, max_bytes=1)
    got = []
    for number in range(20):
        got += pool.submit(InputRow("a.jpg", (number,)))
        assert number + 1 - len(got) <= max_ahead
    got += pool.drain()
    assert [result.row.carried[0] for result in got] == list(range(20))


def test_the_next_rows_are_read_while_the_taker_of_a_result_is_busy(make, tmp_path):
    pool = make(config(base_folder=str(tmp_path)), max_ahead=10)
    rows = []
    for number in range(30):
        (tmp_path / f"{number}.jpg").write_bytes(bytes([number]))
        rows.append(InputRow(f"{number}.jpg"))
    for row in rows[:10]:
        assert pool.submit(row) == []
    for number, row in enumerate(rows[10:]):
        assert [result.data for result in pool.submit(row)] == [bytes([number])]
        if number % 7 == 0:  # The taker captions a batch; the ten under way are read meanwhile.
            wait_for(lambda: pool._finished_bytes == 10)
    assert [result.data for result in pool.drain()] == [bytes([number]) for number in range(20, 30)]


def test_quick_local_files_take_two_threads_and_slow_ones_or_a_host_all(
    web, make, tmp_path, monkeypatch
):
    (tmp_path / "a.jpg").write_bytes(JPEG)
    quick, slow, remote = (make(config(threads=6, base_folder=str(tmp_path))) for _ in range(3))
    # No wait is long in the first pool, whatever else this machine does; the next ones have a real
    # limit again.
    with monkeypatch.context() as patience:
        patience.setattr(read_pool, "_LONG_WAIT_SECS", 60.0)
        assert [result.data for result in read_all(quick, ["a.jpg"] * 200)] == [JPEG] * 200
    assert len(quick._threads) == 2
    with slow_reads(monkeypatch):
        assert len(read_all(slow, ["a.jpg"] * 20)) == 20
    assert len(slow._threads) == 6
    for number in range(6):
        remote.submit(InputRow(web.url(f"nap.jpg?0.2&{number}")))
    assert len(remote._threads) == 6


def test_quick_local_files_wait_while_their_taker_decodes_and_nothing_else_does(
    web, make, tmp_path, monkeypatch
):
    monkeypatch.setattr(read_pool, "_LONG_WAIT_SECS", 60.0)
    (tmp_path / "a.jpg").write_bytes(JPEG)
    local, mixed, other = (make(config(base_folder=str(tmp_path))) for _ in range(3))
    with local_reads_paused():
        for _ in range(5):
            local.submit(InputRow("a.jpg"))
        mixed.submit(InputRow("a.jpg"))
        mixed.submit(InputRow(web.url("photo.jpg")))
        taker = threading.Thread(target=lambda: other.submit(InputRow("a.jpg")))
        taker.start()
        taker.join()
        wait_for(lambda: mixed._finished_bytes == other._finished_bytes == len(JPEG))
        wait_for(lambda: local._num_idle == len(local._threads) > 0)
        assert [read.is_done for read in local._queue] == [False] * 5
        assert [read.is_done for read in mixed._queue] == [False, True]
    # As soon as it is done with decoding, not only when it asks.
    wait_for(lambda: local._finished_bytes == 5 * len(JPEG))
    assert [result.data for pool in (local, mixed) for result in pool.drain()] == [JPEG] * 7


def test_local_files_that_were_waited_for_long_do_not_wait(make, tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(JPEG)
    pool = make(config(threads=1, base_folder=str(tmp_path)))
    with slow_reads(monkeypatch):
        assert len(read_all(pool, ["a.jpg"] * 3)) == 3
    with local_reads_paused():
        pool.submit(InputRow("a.jpg"))
        wait_for(lambda: pool._finished_bytes == len(JPEG))
    assert [result.data for result in pool.drain()] == [JPEG]


def test_a_pool_is_used_again_after_draining_and_forgets_what_is_discarded(web, make):
    pool = make(config(threads=4))
    assert [result.data for result in read_all(pool, [web.url("photo.jpg")] * 3)] == [JPEG] * 3
    assert list(pool.drain()) == []
    for number in range(10):
        pool.submit(InputRow(web.url(f"nap.jpg?0.1&{number}")))
    pool.discard()
    uris = [web.url(f"photo.jpg?{number}") for number in range(10)]
    assert [result.row.uri for result in read_all(pool, uris)] == uris
    assert pool._finished_bytes == 0


@pytest.mark.parametrize("path", ["stall.jpg", "later.jpg?100", "drip.jpg"])
def test_closing_ends_all_threads_at_once_whatever_they_wait_for(web, path):
    before = threading.active_count()
    pool = ReadPool(config(threads=6, max_reads_per_host=6, timeout_secs=60, attempts=5))
    for number in range(20):
        pool.submit(InputRow(web.url(f"{path}&{number}" if "?" in path else f"{path}?{number}")))
    wait_for(lambda: sum(web.requests.values()) == 6)
    start = time.monotonic()
    pool.close()
    assert time.monotonic() - start < 2
    assert pool_threads() == []
    pool.close()
    web.stopping.set()
    wait_for(lambda: threading.active_count() <= before + 1)
    with pytest.raises(ValueError, match="closed"):
        pool.submit(InputRow("a.jpg"))


def test_a_failing_thread_fails_the_reader_not_the_row(make, tmp_path, monkeypatch):
    def crash(*_: object) -> None:
        raise SystemExit("a bug")

    monkeypatch.setattr(read_pool.Fetcher, "fetch_row", crash)
    pool = make(config())
    with pytest.raises(RuntimeError, match=r"a thread failed to read a\.jpg") as raised:
        read_all(pool, ["a.jpg"])
    assert str(raised.value.__cause__) == "a bug"


def test_a_process_ends_at_once_though_reads_go_on(web):
    program = (
        "import sys\n"
        "from beam_jobs.config import FetchConfig\n"
        "from beam_jobs.fetching.read_pool import ReadPool\n"
        "from beam_jobs.inputs.rows import InputRow\n"
        "pool = ReadPool(FetchConfig(timeout_secs=60, allow_private_addresses=True))\n"
        "for number in range(8): pool.submit(InputRow(f'{sys.argv[1]}?{number}'))\n"
        "import time; time.sleep(0.5); start = time.monotonic()\n"
        "import atexit; atexit.register(lambda: print(time.monotonic() - start < 2))\n"
        "raise ValueError('enough')\n"
    )
    start = time.monotonic()
    command = [sys.executable, "-c", program, web.url("stall.jpg")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stdout) == (1, "True\n")
    assert "ValueError: enough" in ended.stderr
    assert sum(web.requests.values()) == 8
    assert time.monotonic() - start < 40


def test_two_thousand_local_files_come_back_each_once(make, tmp_path):
    for number in range(200):
        (tmp_path / f"{number}.jpg").write_bytes(str(number).encode())
    uris = [f"{number % 200}.jpg" for number in range(2000)]
    results = read_all(make(config(base_folder=str(tmp_path))), uris)
    assert [result.data for result in results] == [uri[:-4].encode() for uri in uris]
