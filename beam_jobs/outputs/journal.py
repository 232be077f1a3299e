"""What runs of a job have made durable so far, and what each of them was.

    OUTPUT/_committed/runs/RUNID.json                 written when a run starts
    OUTPUT/_committed/captions/RUNID-<hex>.parquet    rows, from while it runs
    OUTPUT/_committed/failures/RUNID-<hex>.parquet

A part appears whole or not at all. It may repeat rows of another one (a bundle that Beam tried
again, a worker that was taken for dead): `publish` keeps one row of each URI. The folder's
underscore keeps readers of data sets (Spark, Arrow) out of it. It is removed once the tables are
published and the manifest is written.
"""

import dataclasses
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs import records, storage
from beam_jobs.config import RAW
from beam_jobs.records import Table
from model_lib.config import JsonConfig
from model_lib.errors import ConfigError

COMMITTED = "_committed"
STAGING = ".staging"
COMPRESSION = "zstd"


class Part(NamedTuple):
    """A file of a table: its address and size."""

    path: str
    num_bytes: int

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def run_id(self) -> str:
        """The run that committed it, from its name."""
        return self.name.rsplit("-", 1)[0]


@dataclasses.dataclass(frozen=True)
class Identity(JsonConfig):
    """What must be equal in all runs of one job; a resume with another one is refused.

    Attributes:
        model_fingerprint: of the bundle.
        decode: decode settings as canonical JSON.
        carried_columns: the carried columns, as `name type, name type`.
        output_format: of the published tables.
        precision: of the encoder's arithmetic.
        style: what rows say beside the raw caption, as canonical JSON.
    """

    model_fingerprint: str
    decode: str
    carried_columns: str = ""
    output_format: str = "parquet"
    precision: str = "float32"
    style: str = RAW.to_json()

    def digest(self) -> str:
        """Returns a short name that equal identities share."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def differences(self, other: "Identity") -> list[str]:
        """Returns a sentence for each value that differs: this one's first."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return [
            f"{name}: earlier runs {mine[name] or 'none'}, this one {theirs[name] or 'none'}"
            for name in mine
            if mine[name] != theirs[name]
        ]


@dataclasses.dataclass(frozen=True)
class RunNote(JsonConfig):
    """What a run notes when it starts; kept for the manifest.

    Attributes:
        run_id: of the run; run ids sort by start time.
        started_at: ISO 8601, UTC.
        command_line: the words it was started with, secrets hidden.
        identity: what the job is.
        bundle: path, name and fingerprint of the bundle.
        decode: decode settings in effect.
        settings: the fields of `JobConfig`.
        keeps_published: whether rows published by earlier runs stay; false where everything is
            computed anew.
    """

    run_id: str
    started_at: str
    command_line: Sequence[str]
    identity: Identity
    bundle: Mapping[str, str]
    decode: Mapping[str, Any]
    settings: Mapping[str, Any]
    keeps_published: bool = True

    @classmethod
    def from_bytes(cls, data: bytes) -> "RunNote":
        """Reads what `write_note` wrote."""
        values = json.loads(data)
        return cls(**{**values, "identity": Identity(**values["identity"])})


def write_note(output: str, note: RunNote) -> None:
    """Writes a run's note into the output folder."""
    text = json.dumps(dataclasses.asdict(note), indent=2)
    storage.write_atomically(
        storage.join(output, COMMITTED, "runs", f"{note.run_id}.json"), text.encode()
    )


def read_notes(output: str) -> list[RunNote]:
    """Returns the notes of runs whose rows are not published yet, oldest first.

    Raises:
        ConfigError: where a note is none of ours.
    """
    notes = []
    pattern = storage.join(storage.escape(output), COMMITTED, "runs", "*.json")
    for found in storage.list_pattern(pattern):
        with storage.open_read(found.path) as stream:
            data = stream.read()
        try:
            notes.append(RunNote.from_bytes(data))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{found.path}: is no note of a run: {error}") from error
    return sorted(notes, key=lambda note: note.run_id)


def commit(output: str, table: Table, run_id: str, rows: Sequence[records.Row]) -> Part:
    """Makes rows durable as one more part.

    Raises:
        OSError: where it cannot be written; nothing of it is seen then.
    """
    data = table_to_parquet(pa.Table.from_pylist(list(rows), schema=table.arrow_schema()))
    name = f"{run_id}-{uuid.uuid4().hex[:16]}.parquet"
    path = storage.join(output, COMMITTED, table.name, name)
    storage.write_atomically(path, data)
    return Part(path, len(data))


def table_to_parquet(table: pa.Table) -> bytes:
    """Returns a table as a Parquet file: zstd, one row group, schema as given."""
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression=COMPRESSION, row_group_size=max(len(table), 1))
    return bytes(buffer.getvalue())


def committed_parts(output: str, table: Table) -> list[Part]:
    """Returns the committed parts of a table, oldest run first.

    Parts of a run without a note are left out: they are not this job's.
    """
    run_ids = {note.run_id for note in read_notes(output)}
    parts = table_parts(storage.join(output, COMMITTED), table)
    return [part for part in parts if part.run_id in run_ids]


def table_parts(folder: str, table: Table) -> list[Part]:
    """Returns the Parquet files of a table in a folder, by name."""
    pattern = storage.join(storage.escape(folder), table.name, "*.parquet")
    return sorted(Part(found.path, found.size_in_bytes) for found in storage.list_pattern(pattern))


def clear(output: str) -> None:
    """Removes everything committed, and temporary files; published tables stay."""
    for name in (COMMITTED, STAGING):
        storage.delete_folder(storage.join(output, name))


def columns_text(carried: Sequence[records.Column]) -> str:
    """Returns carried columns as an `Identity` names them: `id int64, tags list<string>`."""
    return ", ".join(f"{column.name} {column.arrow}" for column in carried)
