"""All programs one after another, each in a process of its own, into docs/performance.md.

python -m benchmarks.all                         an hour and a half on two quiet cores
python -m benchmarks.all --quick                 minutes; shows that it runs
python -m benchmarks.all --groups peers,startup  some; the others' results stay
python -m benchmarks.all --groups ''             only writes the tables from the JSON again
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markers import rewrite
from benchmarks.results import Report
from benchmarks.settings import ROOT

GROUPS: Mapping[str, tuple[str, ...]] = {
    "equality": (),
    "throughput": ("--images", "5000"),
    "job_parts": ("--images", "1280", "--rounds", "9"),
    "encoders": (),
    "tensorflow_settings": (),
    "peers": ("--images", "1024"),
    "startup": (),
    "workers": ("--images", "2048"),
    "publishing": ("--rows", "1000000"),
    "growth": ("--images", "5000"),
}
QUICK: Mapping[str, tuple[str, ...]] = {
    "equality": ("--limit", "100"),
    "throughput": ("--images", "256", "--job_images", "1024", "--rounds", "3"),
    "job_parts": ("--images", "512", "--rounds", "2"),
    "encoders": ("--images", "128", "--rounds", "3"),
    "tensorflow_settings": ("--images", "128", "--rounds", "2"),
    "peers": (
        *("--images", "512", "--rounds", "3", "--course_images", "8"),
        *("--stock_images", "64", "--inception_images", "32"),
    ),
    "startup": ("--rounds", "3"),
    "workers": ("--images", "512", "--rounds", "2"),
    "publishing": ("--rows", "100000"),
    "growth": ("--images", "256"),
}
DOC = ROOT / "docs" / "performance.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the groups and writes; returns 1 where one of them failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    default = "(default: %(default)s)"
    parser.add_argument("--output", default="docs/performance.json", help=f"JSON {default}")
    parser.add_argument("--doc", default=str(DOC), help="Markdown whose tables are written")
    parser.add_argument("--groups", default=",".join(GROUPS), help=default)
    parser.add_argument("--quick", action="store_true", help="small and noisy")
    arguments = parser.parse_args(argv)
    chosen = [name for name in arguments.groups.split(",") if name]
    unknown = set(chosen) - set(GROUPS)
    if unknown:
        parser.error(f"--groups: no {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    output = Path(arguments.output)
    results: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {}
    failed = []
    for name in chosen:
        found = run_group(name, (QUICK if arguments.quick else GROUPS)[name])
        if found is None:
            failed.append(name)
            continue
        results[name] = found
        output.write_text(json.dumps(results, indent=1) + "\n")
    write_tables(results, Path(arguments.doc))
    if failed:
        print(f"failed, their old results stay: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def run_group(name: str, flags: Sequence[str]) -> dict[str, Any] | None:
    """Runs one program in a process of its own.

    Returns:
        Its report as plain values; None where it failed.
    """
    print(f"--- benchmarks.{name} {' '.join(flags)}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="all-") as work:
        path = Path(work) / "result.json"
        words = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}", *flags]
        code = subprocess.run([*words, "--json", str(path)], cwd=ROOT, check=False).returncode
        if code or not path.exists():
            return None
        found: dict[str, Any] = json.loads(path.read_text())
    # The file's name is of no use to who repeats the command.
    found["command"] = " ".join([f"python -m benchmarks.{name}", *flags])
    return found


def write_tables(results: Mapping[str, Any], doc: Path) -> None:
    """Writes the tables of all results into the document, and the overview above them."""
    reports = {name: Report.from_json(found) for name, found in results.items()}
    parts = {name: report.markdown() for name, report in reports.items()}
    rewrite(doc, {**parts, "overview": overview(reports)})


def overview(reports: Mapping[str, Report]) -> str:
    """Returns all rows that have a target, as one table."""
    lines = ["|  | target | median | rounds |  |", "| --- | --- | --- | --- | --- |"]
    for report in reports.values():
        for row in report.rows:
            if row.target is not None:
                lines.append(f"| {' | '.join(row.cells())} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
