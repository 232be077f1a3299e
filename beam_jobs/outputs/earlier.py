"""What earlier runs left in an output folder, and whether this run may go on from there.

Takes the output folder and what the job is now (`Identity`); gives the parts whose images are
done, or refuses: a folder is never mixed from two jobs.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from beam_jobs import records, storage
from beam_jobs.outputs import journal
from beam_jobs.outputs.done import DonePart
from beam_jobs.outputs.journal import Identity, RunNote
from model_lib.errors import ConfigError

MANIFEST_NAME = "manifest.json"


@dataclasses.dataclass(frozen=True)
class Earlier:
    """Earlier runs of a job.

    Attributes:
        runs: one mapping a run, oldest first, as the manifest lists them.
        done: parts whose images are done.
        keeps_published: whether the published tables belong to this job and stay.
        drops_committed: whether what is committed is of no use and goes first.
    """

    runs: tuple[Mapping[str, Any], ...] = ()
    done: tuple[DonePart, ...] = ()
    keeps_published: bool = True
    drops_committed: bool = False


@dataclasses.dataclass(frozen=True)
class _Found:
    manifest: Mapping[str, Any] | None
    notes: Sequence[RunNote]

    @property
    def identity(self) -> Identity | None:
        if self.notes:
            return self.notes[-1].identity
        if self.manifest and isinstance(self.manifest.get("identity"), Mapping):
            return Identity(**self.manifest["identity"])
        return None

    @property
    def is_published(self) -> bool:
        """Whether everything committed is in the published tables already."""
        if self.manifest is None or not self.notes:
            return False
        last = self.manifest.get("run_id") == self.notes[-1].run_id
        return last and bool(self.manifest.get("complete"))

    @property
    def runs(self) -> tuple[Mapping[str, Any], ...]:
        listed = list(self.manifest.get("runs", [])) if self.manifest else []
        known = {run["run_id"] for run in listed}
        listed += [run_entry(note) for note in self.notes if note.run_id not in known]
        return tuple(sorted(listed, key=lambda run: str(run["run_id"])))


def read_manifest(output: str) -> Mapping[str, Any] | None:
    """Returns the manifest of an output folder; None where there is none.

    Raises:
        ConfigError: where it is none of ours.
    """
    address = storage.join(output, MANIFEST_NAME)
    if not storage.exists(address):
        return None
    with storage.open_read(address) as stream:
        data = stream.read()
    try:
        manifest = json.loads(data)
    except ValueError as error:
        raise ConfigError(f"{address}: is no manifest: {error}") from error
    if not isinstance(manifest, dict):
        raise ConfigError(f"{address}: is no manifest of this job")
    return manifest


def runs_in(output: str) -> tuple[Mapping[str, Any], ...]:
    """Returns all runs that an output folder knows of, oldest first."""
    return _Found(read_manifest(output), journal.read_notes(output)).runs


def run_entry(note: RunNote, finished_at: str | None = None) -> dict[str, Any]:
    """Returns a run as the manifest lists it, before its rows are counted."""
    return {
        "run_id": note.run_id,
        "started_at": note.started_at,
        "finished_at": finished_at,
        "command_line": list(note.command_line),
    }


def check_empty(output: str) -> None:
    """Refuses an output folder in which there is anything.

    Raises:
        ConfigError: saying how to go on.
    """
    if not any(True for _ in storage.list_folder(output, 1)):
        return
    if journal.read_notes(output):
        raise ConfigError(
            f"--output {output}: holds an interrupted run; go on with it by --resume, or say "
            "--overwrite to begin anew"
        )
    raise ConfigError(
        f"--output {output}: is not empty; choose another folder, say --overwrite to replace "
        "what an earlier run wrote there, or --resume to add to it"
    )


def look(output: str, identity: Identity, *, recompute: bool) -> Earlier:
    """Finds out what a resumed run goes on from.

    Args:
        output: the job's output folder.
        identity: what the job is now.
        recompute: whether another identity means to caption everything anew.

    Raises:
        ConfigError: where the folder holds something else, or another job's rows.
    """
    found = _Found(read_manifest(output), journal.read_notes(output))
    if found.identity is None:
        if any(True for _ in storage.list_folder(output, 1)):
            raise ConfigError(f"--resume: {output} is not empty, but no run of this job wrote it")
        return Earlier()
    differences = found.identity.differences(identity)
    if differences and not recompute:
        raise ConfigError(
            f"--resume: {output} was made with other settings; {'; '.join(differences)}. Say "
            "--recompute to caption everything anew, or choose another --output"
        )
    if differences:
        return Earlier(found.runs, keeps_published=False, drops_committed=True)
    reads_published = identity.output_format == "parquet"
    keeps = all(note.keeps_published for note in found.notes) or found.is_published
    drops = found.is_published and reads_published
    done = []
    for table in (records.CAPTIONS, records.FAILURES):
        committed = [] if drops else journal.committed_parts(output, table)
        published = journal.table_parts(output, table) if keeps and reads_published else []
        parts = (*committed, *published)
        done += [DonePart(part.path, table is records.FAILURES) for part in parts]
    return Earlier(found.runs, tuple(done), keeps, drops)
