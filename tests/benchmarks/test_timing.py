import pytest

from benchmarks.timing import measure_in_turn, median, paired_ratios, rates


class FakeClock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_runs_take_turns_and_follow_different_ones():
    order = []
    runs = {name: lambda n=name: order.append(n) for name in "abc"}
    measure_in_turn(runs, 2, clock=FakeClock(), quiet=True)
    assert "".join(order) == "abc" + "acb" + "cab"


def test_the_warm_up_does_not_count():
    clock, durations = FakeClock(), iter([100.0, 2.0, 3.0])

    def run():
        clock.now += next(durations)

    assert measure_in_turn({"run": run}, 2, clock=clock, quiet=True) == {"run": [2.0, 3.0]}


def test_a_run_may_report_its_own_seconds():
    runs = {"reports": lambda: 7.0}
    assert measure_in_turn(runs, 2, warm_ups=0, clock=FakeClock(), quiet=True) == {
        "reports": [7.0, 7.0]
    }


def test_ratios_are_paired_by_round():
    # One busy round slows both sides: it changes neither ratio nor median.
    left, right = rates(100, [1.0, 10.0, 1.0]), rates(100, [2.0, 20.0, 2.0])
    assert paired_ratios(left, right) == (2.0, 2.0, 2.0)
    assert median(paired_ratios(left, right)) == 2.0


def test_ratios_of_different_rounds_are_refused():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        paired_ratios([1.0, 2.0], [1.0])
