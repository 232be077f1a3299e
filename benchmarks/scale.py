"""Writes docs/scale.md's tables and draws docs/scale.png.

    python -m benchmarks.scale

Constants that were measured come from docs/performance.json where it has them.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.markers import rewrite
from benchmarks.scale_model import CONSTANTS, Constant, Cost, cost, fleet, values_of, with_measured
from benchmarks.settings import ROOT
from benchmarks.simulation import simulate

# Images of a job, and the machines that the page supposes for it.
JOBS = {"10 million": (10**7, 20), "1 billion": (10**9, 1000), "10 billion": (10**10, 5000)}
SEEDS = range(5)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the page's tables and the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", default=str(ROOT / "docs" / "performance.json"))
    parser.add_argument("--doc", default=str(ROOT / "docs" / "scale.md"))
    parser.add_argument("--picture", default=str(ROOT / "docs" / "scale.png"))
    arguments = parser.parse_args(argv)
    results = Path(arguments.results)
    found = json.loads(results.read_text()) if results.exists() else {}
    constants = with_measured(found) if found else CONSTANTS
    values = values_of(constants)
    rewrite(
        Path(arguments.doc),
        {"constants": constants_table(constants), "costs": costs_table(values)},
    )
    from benchmarks.scale_picture import draw  # matplotlib is needed only here

    draw(values, JOBS, Path(arguments.picture))
    return 0


def constants_table(constants: Sequence[Constant]) -> str:
    """Returns all constants with their origin."""
    lines = ["| constant | value |  | origin |", "|---|---|---|---|"]
    for constant in constants:
        value = f"{constant.value:,.6g}"
        origin = f"{constant.origin}: {constant.source}"
        lines.append(f"| `{constant.name}` | {value} | {constant.unit} | {origin} |")
    return "\n".join(lines)


def costs_table(values: dict[str, float]) -> str:
    """Returns what jobs of three sizes take, one column each."""
    costs = {name: cost(images, values) for name, (images, _) in JOBS.items()}
    machines = {name: count for name, (_, count) in JOBS.items()}
    rows = {
        "machines": [f"{count:,}" for count in machines.values()],
        "machine hours of captioning": [f"{c.machine_hours:,.0f}" for c in costs.values()],
        "captioning, all machines alike": [
            _duration(values["start_secs"] + c.machine_hours / machines[name] * 3600)
            for name, c in costs.items()
        ],
        "captioning, simulated": [
            _duration(simulated_secs(c.images, machines[name], values)) for name, c in costs.items()
        ],
        "listing one folder": [_duration(c.list_secs) for c in costs.values()],
        "publishing by one launcher": [_duration(c.publish_secs) for c in costs.values()],
        "memory of publishing": [_size(c.publish_bytes) for c in costs.values()],
        "images read": [_size(c.images * values["image_bytes"]) for c in costs.values()],
        "through the shuffles": [_size(c.shuffle_bytes) for c in costs.values()],
        "committed parts": [f"{c.parts:,}" for c in costs.values()],
        "published files": [f"{c.files:,}" for c in costs.values()],
        "size of the tables": [_size(c.published_bytes) for c in costs.values()],
        "read requests": [_count(c.reads) for c in costs.values()],
        "write and list requests": [_count(c.writes) for c in costs.values()],
        "BigQuery load jobs a table": [f"{c.load_jobs:,}" for c in costs.values()],
        **_money_rows(list(costs.values())),
    }
    lines = [f"|  | {' | '.join(JOBS)} |", f"|---{'|---' * len(JOBS)}|"]
    lines += [f"| {what} | {' | '.join(cells)} |" for what, cells in rows.items()]
    return "\n".join(lines)


def _money_rows(costs: Sequence[Cost]) -> dict[str, list[str]]:
    return {
        "money: machines": [f"{c.machines_money:,.0f}" for c in costs],
        "money: requests": [f"{c.storage_money:,.0f}" for c in costs],
        "money: shuffles": [f"{c.shuffle_money:,.2f}" for c in costs],
        "**money, at the example prices**": [f"**{c.money:,.0f}**" for c in costs],
    }


def simulated_secs(images: int, machines: int, values: dict[str, float]) -> float:
    """Returns the mean time of a few simulated jobs."""
    outcomes = [simulate(images, fleet(machines, values, seed)).secs for seed in SEEDS]
    return sum(outcomes) / len(outcomes)


def _duration(secs: float) -> str:
    """Returns a time: `12 min`, `2.3 h`, `12 days`."""
    if secs < 5400:
        return f"{secs / 60:.0f} min"
    return f"{secs / 3600:.1f} h" if secs < 48 * 3600 else f"{secs / 86400:.1f} days"


def _size(num_bytes: float) -> str:
    """Returns a size: `0.7 GB`, `1.2 TB`, `1.2 PB`."""
    for limit, name in ((1e15, "PB"), (1e12, "TB")):
        if num_bytes >= limit:
            return f"{num_bytes / limit:,.1f} {name}"
    return f"{num_bytes / 1e9:,.1f} GB"


def _count(number: float) -> str:
    """Returns a number: `12 thousand`, `10.0 million`, `10.0 billion`."""
    for limit, name in ((1e9, "billion"), (1e6, "million")):
        if number >= limit:
            return f"{number / limit:,.2f} {name}"
    return f"{number / 1e3:,.0f} thousand"


if __name__ == "__main__":
    sys.exit(main())
