"""What the launcher's publish costs a row: seconds, memory, bytes, with made-up rows.

    python -m benchmarks.publishing --rows 1000000

Writes committed parts of 1,000 rows into a temporary folder, then merges them in a process of its
own. The rows look like the job's; every caption is drawn from the bundle's vocabulary. These are
constants of docs/scale.md.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from beam_jobs import records
from beam_jobs.outputs import journal
from beam_jobs.outputs.journal import Identity, RunNote
from beam_jobs.outputs.publish import Publication, publish, tables_of
from benchmarks import results
from benchmarks.results import Row, make_report
from benchmarks.settings import make_parser, settings_from
from benchmarks.watching import watch
from model_lib.bundle import read_bundle_info

RUN_ID = "20261123T000000Z-00000000"
PART_ROWS = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    parser = make_parser(__doc__, images=1, rounds=1)
    parser.add_argument("--rows", type=int, default=200_000, help="(default: %(default)s)")
    parser.add_argument("--publish", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.publish:
        publish_folder(arguments.publish)
        return 0
    settings = settings_from(arguments)
    counts = {"small": arguments.rows // 4, "large": arguments.rows}
    with tempfile.TemporaryDirectory(prefix="publishing-") as work:
        folders = {name: str(Path(work) / name) for name in counts}
        written = {n: write_parts(folders[n], settings.bundle, counts[n]) for n in counts}
        words = ["-m", "benchmarks.publishing", "--publish"]
        found = {name: watch([*words, folder]) for name, folder in folders.items()}
    small, large = found["small"], found["large"]
    extra = (counts["large"] - counts["small"]) / 1e6
    secs = (large.seconds - small.seconds) / extra
    megabytes = (large.own_peak_bytes - small.own_peak_bytes) / 1e6 / extra
    row_bytes = written["large"] / arguments.rows
    rows = [
        Row("secs", "publishing a million more rows", (secs,), "s"),
        Row("memory", "memory that a million more rows need", (megabytes,), "MB"),
        Row("bytes", "committed bytes of a million rows", (row_bytes,), "MB"),
    ]
    results.publish(make_report("publishing", rows, {"rows": arguments.rows}), settings.json)
    return 0


def write_parts(output: str, bundle: str, count: int) -> int:
    """Commits made-up rows into an output folder; returns the bytes of their parts."""
    info = read_bundle_info(bundle)
    words = (Path(bundle) / "vocabulary.txt").read_text().split()[4:]
    draw = random.Random(0)
    identity = Identity(info.fingerprint, info.decode.to_json())
    settings = {"input": None, "carry_columns": None}
    note = RunNote(RUN_ID, "2026-11-23", [], identity, {}, {}, settings)
    journal.write_note(output, note)
    total = 0
    for start in range(0, count, PART_ROWS):
        numbers = range(start, min(start + PART_ROWS, count))
        rows = [_row(number, words, draw, info.fingerprint, identity.decode) for number in numbers]
        total += journal.commit(output, records.CAPTIONS, RUN_ID, rows).num_bytes
    return total


def _row(
    number: int, words: Sequence[str], draw: random.Random, fingerprint: str, decode: str
) -> records.Row:
    caption = " ".join(draw.choices(words[:300], k=10))
    log_prob = -20 * draw.random()
    return {
        "uri": f"gs://some-bucket/photos/{draw.getrandbits(64):016x}/{number:012d}.jpg",
        "image_sha256": f"{draw.getrandbits(256):064x}",
        "caption": caption,
        "score": log_prob / 11,
        "candidates": [{"caption": caption, "log_prob": log_prob, "score": log_prob / 11}],
        "confidence": 0.7,
        "num_tokens": 11,
        "finished": True,
        "sentence": None,
        "low_confidence": None,
        "width": 640,
        "height": 480,
        "format": "jpeg",
        "size_bytes": draw.randrange(50_000, 200_000),
        "model_name": "flickr8k-small",
        "model_fingerprint": fingerprint,
        "decode_config": decode,
        "run_id": RUN_ID,
        "captioned_at": records.utc_now(),
    }


def publish_folder(output: str) -> None:
    """Publishes what is committed in a folder, as the launcher does."""
    captions, failures = tables_of(())
    publish(Publication(output, RUN_ID, captions, failures))


if __name__ == "__main__":
    sys.exit(main())
