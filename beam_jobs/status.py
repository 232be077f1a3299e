"""`caption-images status OUTPUT`: how far a job is, and what a resume would do.

Takes an output folder on any file system, while a run is going, after it was killed, or when it
is done; reads what is published and committed there, and writes nothing. What is counted is exact
for the moment of reading: images, not rows, so that rows which repeat do no harm.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from beam_jobs import records, storage
from beam_jobs.outputs import earlier, journal
from beam_jobs.outputs.journal import Part, RunNote
from beam_jobs.report.tables import table_files
from beam_jobs.status_text import ResumeState, RunState, State, Status, status_lines
from beam_jobs.subcommand import CommandParser, parse_words
from beam_jobs.tally import Files, Tally, tally
from model_lib.errors import ConfigError

# Rows are committed every minute at the latest while images come: older is not running.
RUNNING_SECS = 180.0
TRIES = 3
_TABLES = (records.CAPTIONS, records.FAILURES)


def main(argv: Sequence[str]) -> int:
    """Runs the command; see its `--help`.

    Raises:
        ConfigError: for a wrong command line, or a folder that no run has written into.
        OSError: where the folder cannot be read.
    """
    parser = CommandParser(
        prog="caption-images status",
        description="Tells what is captioned, what failed, what is published, and what --resume "
        "would do. Works while the job runs. Other flags are Apache Beam's, for its file systems.",
    )
    parser.add_argument("output", metavar="OUTPUT", help="output folder of the job")
    parser.add_argument("--json", action="store_true", help="the same as one JSON object")
    words = parse_words(parser, argv)
    found = status(words.output)
    if words.json:
        sys.stdout.write(json.dumps(found.to_dict(), indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in status_lines(found))
    return 0


def status(output: str, now_secs: float | None = None) -> Status:
    """Looks at an output folder.

    Args:
        output: the folder, on any file system that Beam knows.
        now_secs: the time, in seconds since 1970; by default the clock's.

    Raises:
        ConfigError: where no run has written into it.
        OSError: where it cannot be read.
    """
    folder = storage.plain_path(output)
    for attempt in range(TRIES):
        try:
            return _look(folder, time.time() if now_secs is None else now_secs)
        except OSError:
            # A run that ends meanwhile removes what it has published; the next look finds that.
            if attempt == TRIES - 1:
                raise
    raise AssertionError("not reached")


class _Found(NamedTuple):
    """What lies in an output folder.

    Attributes:
        manifest: None where there is none.
        notes: of runs that are not published, or whose committed rows are kept; oldest first.
        published: files of the published tables that belong to the job as it is now.
        committed: files of committed rows.
        newest_secs: when the newest committed file was written; None where there is none.
    """

    manifest: Mapping[str, Any] | None
    notes: Sequence[RunNote]
    published: Files
    committed: Files
    newest_secs: float | None

    @property
    def published_run_ids(self) -> set[str]:
        """Runs that the manifest knows of."""
        runs = (self.manifest or {}).get("runs", [])
        return {str(run["run_id"]) for run in runs}


def _look(output: str, now_secs: float) -> Status:
    found = _find(output)
    counted = _tally(found)
    age_secs = None if found.newest_secs is None else max(now_secs - found.newest_secs, 0.0)
    return Status(
        output=output,
        state=_state(found, counted, age_secs),
        secs_since_news=None if age_secs is None else round(age_secs, 1),
        published=_published(found.manifest),
        captions=counted.captions,
        failures=counted.failures,
        unpublished_captions=counted.new_captions,
        unpublished_failures=counted.new_failures,
        failures_by_kind=counted.failures_by_kind,
        runs=tuple(_runs(found, counted)),
        resume=_resume(found, counted),
    )


def _find(output: str) -> _Found:
    manifest, notes = earlier.read_manifest(output), journal.read_notes(output)
    if manifest is not None and not {"run_id", "counts", "status"} <= manifest.keys():
        raise ConfigError(f"{output}: its {earlier.MANIFEST_NAME} is none of caption-images")
    if manifest is None and not notes:
        raise ConfigError(
            f"{output}: no run of caption-images has written here; expected the folder that was "
            "given as --output"
        )
    is_published = manifest is not None and notes and manifest["run_id"] == notes[-1].run_id
    keeps_published = is_published or all(note.keeps_published for note in notes)
    return _Found(
        manifest,
        notes,
        _published_files(output) if keeps_published else Files(),
        Files(*(tuple(journal.committed_parts(output, table)) for table in _TABLES)),
        _newest_secs(output),
    )


def _published_files(output: str) -> Files:
    files = ([Part(path, 0) for path in table_files(output, table)] for table in _TABLES)
    return Files(*files)


def _newest_secs(output: str) -> float | None:
    files = storage.list_folder(storage.join(output, journal.COMMITTED))
    return max((float(file.last_updated_in_seconds) for file in files), default=None)


def _tally(found: _Found) -> Tally:
    if found.notes or found.manifest is None:
        return tally(found.published, found.committed)
    # Published tables hold each image once: the captions need not be read.
    counted = tally(Files((), found.published.failures), Files())
    return dataclasses.replace(counted, captions=int(found.manifest["counts"]["captions"]))


def _state(found: _Found, counted: Tally, age_secs: float | None) -> State:
    is_waiting = bool(counted.new_captions or counted.new_failures)
    is_listed = all(note.run_id in found.published_run_ids for note in found.notes)
    if found.manifest is not None and is_listed and not is_waiting:
        return "published"
    return "running" if age_secs is not None and age_secs < RUNNING_SECS else "interrupted"


def _published(manifest: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if manifest is None:
        return None
    names = ("status", "run_id", "finished_at", "counts")
    return {name: manifest.get(name) for name in names}


def _runs(found: _Found, counted: Tally) -> Iterator[RunState]:
    """Yields the runs, oldest first; rows of those that no manifest counts are as committed."""
    listed = list((found.manifest or {}).get("runs", []))
    if found.manifest is not None and not listed:
        listed = [{**found.manifest, **found.manifest["counts"]}]
    known = {str(run["run_id"]) for run in listed}
    listed += [earlier.run_entry(note) for note in found.notes if note.run_id not in known]
    for run in sorted(listed, key=lambda run: str(run["run_id"])):
        captions, failures = counted.committed_rows.get(str(run["run_id"]), (0, 0))
        yield RunState(
            run_id=str(run["run_id"]),
            started_at=run["started_at"],
            finished_at=run["finished_at"],
            command_line=tuple(run["command_line"]),
            captions=int(run.get("captions", captions)),
            failures=int(run.get("failures", failures)),
        )


def _resume(found: _Found, counted: Tally) -> ResumeState | None:
    identity: Mapping[str, str] | None = (found.manifest or {}).get("identity")
    if found.notes:
        identity = dataclasses.asdict(found.notes[-1].identity)
    if identity is None:
        return None
    retried = {"all": counted.failures, "transient": counted.transient_failures, "none": 0}
    return ResumeState(counted.captions, retried, dict(identity))
