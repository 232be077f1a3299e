"""Committed parts as runs leave them, for the tests of what reads them."""

import dataclasses
from typing import Any

from beam_jobs.outputs import journal
from beam_jobs.outputs.journal import Identity, RunNote
from beam_jobs.records import CAPTIONS, FAILURES, Row
from tests.beam_jobs.run_folder import caption_row, failure_row

IDENTITY = Identity("f" * 64, "{}")


def note(run_id: str, **changes: Any) -> RunNote:
    made = RunNote(
        run_id=run_id,
        started_at="2026-01-02T03:04:05.000006+00:00",
        command_line=["--input", "photos"],
        identity=IDENTITY,
        bundle={"path": "b", "name": "toy", "fingerprint": "f" * 64},
        decode={},
        settings={"input": ["photos"], "max_failure_rate": 0.5},
    )
    return dataclasses.replace(made, **changes)


def commit(
    output: str, run_id: str, captions: str = "", failures: str = "", **changes: Any
) -> None:
    """Commits a run's note and one row for each letter."""
    journal.write_note(output, note(run_id, **changes))
    rows = [captioned(name, run_id) for name in captions]
    if rows:
        journal.commit(output, CAPTIONS, run_id, rows)
    rows = [failed(name, run_id) for name in failures]
    if rows:
        journal.commit(output, FAILURES, run_id, rows)


def captioned(name: str, run_id: str) -> Row:
    return caption_row(f"{name}.jpg", run_id=run_id)


def failed(name: str, run_id: str) -> Row:
    return failure_row(f"{name}.jpg", run_id=run_id)
