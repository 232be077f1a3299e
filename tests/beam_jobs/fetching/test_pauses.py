import threading

import pytest

from beam_jobs.fetching.host_slots import PROCESS_SLOTS
from beam_jobs.fetching.pauses import is_paused, local_reads_paused


def paused() -> bool:
    with PROCESS_SLOTS.lock:
        return is_paused(threading.get_ident())


def test_reads_of_this_thread_alone_are_paused_and_go_on_after_an_error():
    seen = []

    def decode() -> None:
        seen.append(paused())
        other = threading.Thread(target=lambda: seen.append(paused()))
        other.start()
        other.join()
        raise ValueError("a damaged image")

    with pytest.raises(ValueError, match="damaged"), local_reads_paused():
        decode()
    assert seen == [True, False]
    assert not paused()
    with PROCESS_SLOTS.lock:
        assert not is_paused(None)
