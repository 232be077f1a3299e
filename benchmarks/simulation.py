"""How the time of a job falls with machines that differ, stall and are taken away.

A small simulation without clocks or network: a pool of images, machines that take bundles of them,
speeds drawn once a machine, preemptions drawn as they come. A machine that is taken away loses the
bundle it has begun (Beam runs it again from its start) and its successor needs a start of its own.
Takes a `Fleet`; the same seed gives the same outcome. The last bundles are looked at machine by
machine, because the job ends with the slowest of them.
"""

import dataclasses
from typing import Any

import numpy as np

STEPS = 2000
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclasses.dataclass(frozen=True)
class Fleet:
    """Machines of a job.

    Attributes:
        machines: at work at the same time.
        images_per_sec: of one machine, at its usual speed.
        start_secs: from ordering a machine to its first caption.
        bundle_images: that a machine takes at a time, and does again when it is taken away.
        speed_spread: standard deviation of the logarithm of the machines' speeds.
        slow_share: share of the machines that are stragglers.
        slow_factor: their speed, relative to the others.
        preemptions_per_hour: of one machine.
        seed: of everything drawn.
    """

    machines: int
    images_per_sec: float
    start_secs: float = 0.0
    bundle_images: int = 2000
    speed_spread: float = 0.0
    slow_share: float = 0.0
    slow_factor: float = 0.4
    preemptions_per_hour: float = 0.0
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a job took.

    Attributes:
        secs: from the order of the machines to the last caption.
        redone_images: captioned again because a machine was taken away.
        preemptions: machines taken away before the last bundles.
    """

    secs: float
    redone_images: float
    preemptions: int


def simulate(images: int, fleet: Fleet) -> Outcome:
    """Plays one job.

    One machine of 10 images/s that is ready after 60 s captions 6,000 images in 660 s.

    Args:
        images: to caption.
        fleet: the machines.

    Returns:
        What it took.
    """
    draw = np.random.default_rng(fleet.seed)
    speeds = _speeds(fleet, draw)
    bundle = max(1, min(fleet.bundle_images, images // (2 * fleet.machines)))
    begun = draw.random(fleet.machines) * bundle  # of each machine's last bundle, still to do
    ready = np.full(fleet.machines, fleet.start_secs)
    remaining = images - float(begun.sum())
    step = remaining / float(speeds.sum()) / STEPS
    chance = 1 - np.exp(-fleet.preemptions_per_hour * step / 3600)
    now, redone, preemptions = fleet.start_secs, 0.0, 0
    while remaining > 0:
        working = np.clip((now + step - ready) / step, 0, 1) * speeds * step
        done = float(working.sum())
        part = min(1.0, remaining / done) if done else 1.0
        remaining -= done
        now += step * part
        taken = (draw.random(fleet.machines) < chance * part) & (ready < now)
        count = int(taken.sum())
        if count:
            lost = float((draw.random(count) * bundle).sum())
            remaining += lost
            redone += lost
            preemptions += count
            ready[taken] = now + fleet.start_secs
    return Outcome(_end(now, begun, ready, speeds, bundle, fleet, draw), redone, preemptions)


def _speeds(fleet: Fleet, draw: np.random.Generator) -> Floats:
    """Returns images a second of each machine."""
    speeds = fleet.images_per_sec * np.exp(draw.normal(0, fleet.speed_spread, fleet.machines))
    slow = draw.random(fleet.machines) < fleet.slow_share
    return np.where(slow, speeds * fleet.slow_factor, speeds)


def _end(
    now: float,
    begun: Floats,
    ready: Floats,
    speeds: Floats,
    bundle: int,
    fleet: Fleet,
    draw: np.random.Generator,
) -> float:
    """Returns when the last of the bundles that are begun is done."""
    secs = np.maximum(ready - now, 0) + begun / speeds
    lost = draw.random(fleet.machines) < 1 - np.exp(-fleet.preemptions_per_hour * secs / 3600)
    again = fleet.start_secs + bundle / speeds
    return float(now + np.where(lost, secs + again, secs).max())
