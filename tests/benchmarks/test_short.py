import json

import pytest

from benchmarks.short import Comparison, compare, judge, ratios


@pytest.fixture
def baseline(tmp_path):
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"ratios": {"job / captioner": 1.0, "beam 3 / encoder": 0.5}}))
    return path


def test_a_fall_of_more_than_30_per_cent_fails(baseline, capsys):
    measured = {"job / captioner": 0.69, "beam 3 / encoder": 0.5}
    assert judge(lambda: measured, update=False, baseline=baseline) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ratio                    baseline      now   change",
        "job / captioner              1.00     0.69     -31%  fell by more than 30%",
        "beam 3 / encoder             0.50     0.50      +0%",
    ]


def test_a_busy_minute_does_not_fail(baseline, capsys):
    turns = iter([{"job / captioner": 0.4, "beam 3 / encoder": 0.5}])
    later = {"job / captioner": 0.9, "beam 3 / encoder": 0.3}
    assert judge(lambda: next(turns, later), update=False, baseline=baseline) == 0
    shown = capsys.readouterr()
    assert shown.err == "a ratio has fallen; measuring once more\n"
    assert shown.out.splitlines()[1:] == [
        "job / captioner              1.00     0.90     -10%",
        "beam 3 / encoder             0.50     0.50      +0%",
    ]


@pytest.mark.parametrize(("busy", "code"), [(2, 0), (3, 1)])
def test_three_busy_minutes_are_a_fall(baseline, busy, code):
    turns = iter([{"job / captioner": 0.4, "beam 3 / encoder": 0.5}] * busy)
    later = {"job / captioner": 1.0, "beam 3 / encoder": 0.5}
    assert judge(lambda: next(turns, later), update=False, baseline=baseline) == code


@pytest.mark.parametrize("now", [0.7, 0.71, 1.0, 5.0])
def test_noise_and_rises_do_not_fail(baseline, now):
    measured = {"job / captioner": now, "beam 3 / encoder": 0.36}
    assert judge(lambda: measured, update=False, baseline=baseline) == 0


def test_new_and_gone_ratios_are_shown_and_do_not_fail(baseline, capsys):
    measured = {"job / captioner": 1.0, "new one": 2.0}
    assert judge(lambda: measured, update=False, baseline=baseline) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "beam 3 / encoder             0.50     gone",
        "new one                       new     2.00",
    ]


def test_update_stores_what_is_then_compared_with(baseline):
    measured = {"job / captioner": 0.31234}
    turns = iter([{"job / captioner": 0.9}, measured])
    assert judge(lambda: next(turns), update=True, baseline=baseline) == 0
    stored = json.loads(baseline.read_text())
    assert stored["ratios"] == {"job / captioner": 0.312}
    assert set(stored) == {"command", "date", "machine", "ratios"}
    assert judge(lambda: measured, update=False, baseline=baseline) == 0


def test_compare_keeps_the_baselines_order():
    assert compare({"b": 1.0, "a": 2.0}, {"a": 1.0, "c": 3.0, "b": 1.0}) == [
        Comparison("b", 1.0, 1.0),
        Comparison("a", 2.0, 1.0),
        Comparison("c", None, 3.0),
    ]


def test_ratios_of_made_up_seconds():
    seconds = {
        "encoder": [1.0, 2.0, 1.0],
        "captioner greedy": [2.0, 4.0, 2.0],
        "captioner beam 3": [4.0, 8.0, 4.0],
        "Keras predict": [2.5, 5.0, 2.5],
        "course": [0.4, 0.8, 0.4],
        "job": [0.04, 0.08, 0.04],
    }
    assert ratios(seconds, images=100) == {
        "captioner / encoder": 0.5,
        "beam 3 / encoder": 0.25,
        "encoder / Keras predict": 2.5,
        "job / captioner": 0.5,
        "job / course's loop": 10.0,
    }


def test_the_stored_baseline_has_the_ratios_that_are_measured():
    from benchmarks.short import BASELINE

    names = ("encoder", "captioner greedy", "captioner beam 3", "Keras predict", "course", "job")
    measured = ratios({name: [1.0] for name in names}, 1)
    assert list(json.loads(BASELINE.read_text())["ratios"]) == list(measured)
