"""What a benchmark found: rows with a target each, as JSON and as a Markdown table.

A row holds the values of all rounds; its value is their median. It is met, missed, or has no
target and is only reported.
"""

import dataclasses
import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from benchmarks.timing import median

Unit = Literal["ratio", "s", "MB", "images/s", "times", "captions"]
LIBRARIES = ("tensorflow", "keras", "apache-beam", "onnxruntime")
# As /proc/cpuinfo calls them, the best first.
_INSTRUCTIONS = ("amx_tile", "avx512_bf16", "avx512_vnni", "avx512f", "avx2")
_DIGITS: Mapping[str, int] = {
    "ratio": 2,
    "times": 1,
    "s": 1,
    "MB": 0,
    "images/s": 1,
    "captions": 0,
}
_SUFFIXES: Mapping[str, str] = {"ratio": "", "times": " times", "s": " s", "MB": " MB"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured quantity.

    Attributes:
        key: short name, stable between versions.
        what: the quantity in words.
        values: of each round, in `unit`.
        unit: of the values.
        target: what it should reach; None where it is only reported.
        at_most: whether the target is an upper bound.
        note: what a reader must know beside it.
    """

    key: str
    what: str
    values: tuple[float, ...]
    unit: Unit = "ratio"
    target: float | None = None
    at_most: bool = False
    note: str = ""

    @property
    def value(self) -> float:
        """Median of the rounds."""
        return median(self.values)

    @property
    def is_met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    def cells(self) -> list[str]:
        """Returns the row's cells: what, target, measured, lowest to highest, verdict."""
        bound = "at most" if self.at_most else "at least"
        target = "" if self.target is None else f"{bound} {_number(self.target, self.unit)}"
        spread = f"{_plain(min(self.values), self.unit)} to {_plain(max(self.values), self.unit)}"
        verdict = {None: "", True: "met", False: "**missed**"}[self.is_met]
        what = f"{self.what} ({self.note})" if self.note else self.what
        return [what, target, _number(self.value, self.unit), spread, verdict]


@dataclasses.dataclass(frozen=True)
class Report:
    """The rows of one program's run, and what is needed to judge or repeat it.

    Attributes:
        group: name of the program, such as `throughput`.
        command: the words that started it.
        date: ISO 8601.
        machine: processor, cores, load at the start.
        settings: images, rounds and the like.
        rows: what was measured.
        rates: absolute medians, which hold for this machine at that hour only.
    """

    group: str
    command: str
    date: str
    machine: str
    settings: Mapping[str, Any]
    rows: tuple[Row, ...]
    rates: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns plain values, medians and verdicts included."""
        plain = dataclasses.asdict(self)
        for row, values in zip(self.rows, plain["rows"], strict=True):
            values.update(value=row.value, met=row.is_met)
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Report":
        """Reads what `to_json` gave."""
        names = {field.name for field in dataclasses.fields(Row)}
        rows = tuple(
            Row(**{k: tuple(v) if k == "values" else v for k, v in row.items() if k in names})
            for row in plain["rows"]
        )
        return cls(**{**plain, "rows": rows})

    def markdown(self) -> str:
        """Returns the table, with command, machine and date above it."""
        head = ["", "target", "median", "rounds", ""]
        lines = [f"`{self.command}`, {self.machine}, {self.date}", ""]
        lines += [_line(head), _line(["---"] * len(head))]
        lines += [_line(row.cells()) for row in self.rows]
        return "\n".join(lines) + "\n"


def make_report(
    group: str,
    rows: Sequence[Row],
    settings: Mapping[str, Any],
    rates: Mapping[str, float] | None = None,
    argv: Sequence[str] | None = None,
) -> Report:
    """Returns a report of this process, on this machine, today."""
    words = sys.argv[1:] if argv is None else argv
    return Report(
        group=group,
        command=" ".join(["python -m", f"benchmarks.{group}", *words]),
        date=datetime.date.today().isoformat(),
        machine=machine(),
        settings=dict(settings),
        rows=tuple(rows),
        rates=dict(rates or {}),
    )


def publish(report: Report, json_path: str | None) -> None:
    """Prints the table; writes the JSON where a file is named."""
    print(report.markdown())
    for name, rate in report.rates.items():
        print(f"{name:<32}{rate:9.1f} images/s on this machine, now")
    if json_path:
        Path(json_path).write_text(json.dumps(report.to_json(), indent=1) + "\n")


def machine() -> str:
    """Returns processor, cores, load and versions: `2 cores of AMD EPYC (avx2), load 1.4 ...`."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    versions = ", ".join(f"{name} {version}" for name, version in found.items())
    load = os.getloadavg()[0]
    path = Path("/proc/cpuinfo")
    processor = processor_text(path.read_text()) if path.exists() else platform.machine()
    return (
        f"{os.cpu_count()} cores of {processor}, load {load:.1f} at its end, "
        f"Python {platform.python_version()}, {versions}"
    )


def processor_text(cpuinfo: str) -> str:
    """Names the first processor and the best instructions for networks that it has.

    Two machines of one name may differ in these: `AMD EPYC (avx2)`, `AMD EPYC (avx512_vnni)`.

    Args:
        cpuinfo: what `/proc/cpuinfo` holds.
    """
    pairs = (line.partition(":")[::2] for line in reversed(cpuinfo.splitlines()))
    first = {name.strip(): value.strip() for name, value in pairs}
    flags = first.get("flags", "").split()
    best = [name for name in _INSTRUCTIONS if name in flags][:1]
    return " ".join([first.get("model name", platform.machine()), *(f"({name})" for name in best)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(value: float, unit: Unit) -> str:
    return f"{value:,.{_DIGITS[unit]}f}"


def _number(value: float, unit: Unit) -> str:
    return _plain(value, unit) + _SUFFIXES.get(unit, f" {unit}")
