import dataclasses

import pytest

from benchmarks.simulation import Fleet, simulate

SPOT = Fleet(
    machines=100,
    images_per_sec=60.0,
    start_secs=300.0,
    speed_spread=0.1,
    slow_share=0.02,
    preemptions_per_hour=0.05,
)
IMAGES = 50_000_000


def test_one_perfect_machine_is_plain_division():
    outcome = simulate(6000, Fleet(machines=1, images_per_sec=10.0, start_secs=60.0))
    assert outcome.secs == pytest.approx(60 + 6000 / 10)
    assert (outcome.redone_images, outcome.preemptions) == (0, 0)


@pytest.mark.parametrize("machines", [2, 10, 100])
def test_perfect_machines_share_the_work(machines):
    fleet = Fleet(machines, images_per_sec=50.0, bundle_images=100)
    ideal = 1_000_000 / 50 / machines
    assert ideal <= simulate(1_000_000, fleet).secs <= ideal + 100 / 50


def test_the_same_seed_gives_the_same_outcome():
    assert simulate(IMAGES, SPOT) == simulate(IMAGES, SPOT)
    assert simulate(IMAGES, SPOT) != simulate(IMAGES, dataclasses.replace(SPOT, seed=1))


def test_more_machines_are_faster_until_starts_are_all_that_is_left():
    many = [dataclasses.replace(SPOT, machines=n) for n in (10, 100, 1000, 10_000)]
    secs = [simulate(IMAGES, fleet).secs for fleet in many]
    assert secs == sorted(secs, reverse=True)
    assert secs[0] / secs[1] == pytest.approx(10, rel=0.1)
    assert SPOT.start_secs < secs[3] < 2 * secs[2]
    assert secs[2] / secs[3] < 5


def test_preemptions_cost_starts_and_bundles():
    calm = dataclasses.replace(SPOT, preemptions_per_hour=0.0)
    rough = dataclasses.replace(SPOT, preemptions_per_hour=1.0)
    outcome = simulate(IMAGES, rough)
    # 2.4 hours of 100 machines, of which one start in twelve hours' worth is lost.
    assert 180 < outcome.preemptions < 330
    assert outcome.redone_images == pytest.approx(outcome.preemptions * 1000, rel=0.2)
    assert simulate(IMAGES, calm).secs * 1.05 < outcome.secs < simulate(IMAGES, calm).secs * 1.2
    assert simulate(IMAGES, calm).preemptions == 0


def test_stragglers_slow_a_job_by_their_share_and_at_its_end():
    even = dataclasses.replace(SPOT, slow_share=0.0, preemptions_per_hour=0.0, speed_spread=0.0)
    slow = dataclasses.replace(even, slow_share=0.5, slow_factor=0.5)
    assert simulate(IMAGES, slow).secs / simulate(IMAGES, even).secs == pytest.approx(
        4 / 3, rel=0.1
    )
