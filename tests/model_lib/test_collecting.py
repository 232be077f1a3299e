import gc
import threading

import pytest

from model_lib.collecting import collection_paused


@pytest.fixture(autouse=True)
def _as_before():
    yield
    gc.enable()
    gc.unfreeze()


def test_nothing_is_collected_meanwhile_and_what_was_made_is_left_out_afterwards():
    gc.unfreeze()
    with collection_paused():
        assert not gc.isenabled()
        kept = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(kept)
    assert not any(known is kept[0] for known in gc.get_objects())


def test_after_an_error_collection_goes_on():
    with pytest.raises(ValueError, match="no such file"), collection_paused():
        raise ValueError("no such file")
    assert gc.isenabled()


def test_where_nothing_is_collected_it_stays_so():
    gc.disable()
    with collection_paused():
        pass
    assert not gc.isenabled()


@pytest.mark.parametrize("first_to_end", ["outer", "inner"])
def test_pauses_may_overlap_in_threads(first_to_end):
    inside, leave = threading.Event(), threading.Event()

    def pause():
        with collection_paused():
            inside.set()
            leave.wait()

    other = threading.Thread(target=pause)
    with collection_paused():
        other.start()
        inside.wait()
        if first_to_end == "inner":
            leave.set()
            other.join()
    leave.set()
    other.join()
    assert gc.isenabled()
