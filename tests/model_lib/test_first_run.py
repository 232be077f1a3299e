import threading

import pytest

from model_lib.first_run import run_ahead


def test_the_first_run_begins_at_once_and_calls_wait_for_it() -> None:
    began, may_end = threading.Event(), threading.Event()
    calls: list[tuple[int, int]] = []

    def graph(left: int, right: int) -> int:
        if not began.is_set():
            began.set()
            assert may_end.wait(30)
        calls.append((left, right))
        return left + right

    ahead = run_ahead(graph, 0, 0)
    assert began.wait(30)
    results: list[int] = []
    callers = [threading.Thread(target=lambda: results.append(ahead(1, 2))) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(0.1)
    assert not results
    assert not calls
    may_end.set()
    for caller in callers:
        caller.join(30)
    assert results == [3, 3]
    assert calls == [(0, 0), (1, 2), (1, 2)]


def test_a_first_run_that_fails_says_nothing_and_calls_raise_their_own_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def graph(number: int) -> int:
        if number < 0:
            raise ValueError(f"{number} is too small")
        return number

    ahead = run_ahead(graph, -1)
    assert ahead(7) == 7
    with pytest.raises(ValueError, match="-2 is too small"):
        ahead(-2)
    assert capfd.readouterr().err == ""
