import threading

import pytest

from model_lib.first_run import run_ahead, run_when_called


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


@pytest.fixture
def returned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened, in order; the return of freed memory among it."""
    events: list[str] = []
    monkeypatch.setattr("model_lib.first_run.return_freed_memory", lambda: events.append("freed"))
    return events


def test_freed_memory_goes_back_after_a_run_ahead_and_only_then(returned: list[str]) -> None:
    ahead = run_ahead(returned.append, "run")
    ahead("call")
    assert returned == ["run", "freed", "call"]


def test_freed_memory_goes_back_after_the_first_call_that_ends_well(returned: list[str]) -> None:
    def graph(what: str) -> str:
        if what == "bad":
            raise ValueError(what)
        returned.append(what)
        return what.upper()

    when_called = run_when_called(graph)
    assert not returned
    with pytest.raises(ValueError, match="bad"):
        when_called("bad")
    assert [when_called("first"), when_called("second")] == ["FIRST", "SECOND"]
    assert returned == ["first", "freed", "second"]
