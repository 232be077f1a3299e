"""The picture of docs/scale.md: time against machines, and what is left when they are many.

Takes the constants' values; writes a PNG. Left: captioning alone, perfect and simulated. Right:
the whole job with the serial parts of today's design, listing one folder and one launcher's
publish, and with them taken away.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from benchmarks.scale_model import cost, fleet
from benchmarks.simulation import simulate

MACHINES = np.unique(np.geomspace(1, 20_000, 60).round().astype(int))
COLOURS = ("#2a9d8f", "#e07a1f", "#7b3fa0")
GREY = "#8a8a8a"
HOUR = 3600.0
LARGEST_HOURS = 9e4


def draw(
    values: dict[str, float], jobs: Mapping[str, tuple[int, int]], path: Path, seeds: int = 9
) -> None:
    """Draws the picture.

    Args:
        values: the constants.
        jobs: images and machines of each job, by name.
        path: of the PNG.
        seeds: simulated jobs behind each point.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12.5, 5.2), sharey=True)
    for (name, (images, machines)), colour in zip(jobs.items(), COLOURS, strict=True):
        hours = _simulated_hours(images, values, seeds)
        perfect = images / values["images_per_sec"] / MACHINES / HOUR
        spent = cost(images, values)
        serial = (spent.list_secs + spent.publish_secs) / HOUR
        left.plot(MACHINES, perfect, "--", color=colour, linewidth=1.2, alpha=0.7)
        left.plot(MACHINES, hours, color=colour, linewidth=2.4, label=f"{name} images")
        right.plot(MACHINES, hours, color=colour, linewidth=1.2, alpha=0.7, linestyle="--")
        right.plot(MACHINES, hours + serial, color=colour, linewidth=2.4)
        at = float(np.interp(machines, MACHINES, hours + serial))
        right.plot([machines], [at], "o", color=colour, markersize=7, zorder=5)
        right.annotate(
            f"{name}: {_days(at)}\nwith {machines:,} machines",
            (machines, at),
            xytext=(8, 10),
            textcoords="offset points",
            ha="left" if machines < 2000 else "right",
            fontsize=9,
            color=colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
    _finish(left, "Captioning alone", "solid: simulated    dashed: perfect")
    _finish(
        right,
        "Whole job, one folder, one launcher",
        "solid: with listing and publish    dashed: without",
    )
    left.set_ylabel("time")
    left.legend(frameon=False, loc="upper right")
    figure.suptitle(_title(values), fontsize=10, color=GREY, y=0.02, va="bottom")
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _simulated_hours(images: int, values: dict[str, float], seeds: int) -> Any:
    """Returns the mean time for each number of machines."""
    return np.array(
        [
            np.mean(
                [simulate(images, fleet(int(machines), values, seed)).secs for seed in range(seeds)]
            )
            / HOUR
            for machines in MACHINES
        ]
    )


def _finish(axes: Any, title: str, legend: str) -> None:
    """Sets scales, grid and labels of one half."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1, MACHINES[-1])
    axes.set_ylim(0.05, LARGEST_HOURS)
    ticks = {0.1: "6 min", 1: "1 h", 24: "1 day", 168: "1 week", 720: "1 month", 8760: "1 year"}
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_yticks([], minor=True)
    axes.set_xticks([1, 10, 100, 1000, 10_000], ["1", "10", "100", "1,000", "10,000"])
    axes.grid(True, color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("machines")
    axes.set_title(f"{title}\n", loc="left", fontsize=12, fontweight="bold")
    axes.text(0, 1.02, legend, transform=axes.transAxes, fontsize=9, color="#555555")


def _days(hours: float) -> str:
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def _title(values: Mapping[str, float]) -> str:
    return (
        f"{values['images_per_sec']:.0f} images/s a machine, start {values['start_secs']:.0f} s, "
        f"{values['slow_share']:.0%} stragglers at {values['slow_factor']:.0%} of the speed, "
        f"{values['preemptions']:.0%} of the machines taken away each hour, "
        f"{1 / values['list_secs']:.0f} listings a second"
    )
