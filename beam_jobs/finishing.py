"""The end of a run: committed rows -> published tables, BigQuery, report, manifest.

The order is what makes a kill at any moment harmless: tables first, then whatever is made from
them, the manifest last, and only then what was committed is removed. Each step can be repeated.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs import records, storage
from beam_jobs.config import JobConfig
from beam_jobs.counters import JobCounts
from beam_jobs.manifest import RunRecord, build_manifest, write_manifest
from beam_jobs.outputs import journal
from beam_jobs.outputs.bigquery import load_tables
from beam_jobs.outputs.earlier import MANIFEST_NAME, run_entry, runs_in
from beam_jobs.outputs.image_folder import write_metadata
from beam_jobs.outputs.journal import RunNote
from beam_jobs.outputs.publish import Publication, committed_columns, publish, tables_of
from beam_jobs.records import Column
from beam_jobs.report import REPORT_NAME
from model_lib.errors import ConfigError

REPORT_FETCH_SECS = 10.0
METADATA_NAME = "metadata.jsonl"

logger = logging.getLogger(__name__)


def finish(
    output: str,
    note: RunNote,
    runs_before: Sequence[Mapping[str, Any]],
    carried: Sequence[Column],
    counts: JobCounts | None,
    options: PipelineOptions,
    *,
    complete: bool = True,
) -> dict[str, Any]:
    """Publishes what was committed and writes everything that is made from it.

    Args:
        output: the job's output folder.
        note: what the run noted when it started.
        runs_before: earlier runs of the job, as the manifest lists them.
        carried: columns carried from the input.
        counts: the run's counters; None where nobody waited for the pipeline.
        options: Beam's own, for loading BigQuery.
        complete: whether the pipeline was seen to end.

    Returns:
        The manifest, as written.

    Raises:
        OSError: where the output cannot be written; what is committed stays.
    """
    config = config_of(note)
    captions, failures = tables_of(carried)
    # What follows changes the tables: a folder without a manifest is not whole.
    storage.delete([storage.join(output, MANIFEST_NAME)])
    published = publish(
        Publication(
            output, note.run_id, captions, failures, config.output_format, note.keeps_published
        )
    )
    finished_at = records.utc_now()
    runs = [*runs_before, run_entry(note, finished_at.isoformat())]
    if config.output_table:
        run_ids = [str(run["run_id"]) for run in runs]
        load_tables(
            output, config.output_table, captions, failures, run_ids=run_ids, options=options
        )
    manifest = build_manifest(RunRecord(note, finished_at, counts, published, complete, runs))
    if config.metadata_jsonl is not None:
        manifest["metadata_jsonl"] = _write_metadata(output, config)
    manifest["report"] = None if config.no_report else _write_report(output, config, manifest)
    write_manifest(output, manifest)
    return manifest


def publish_interrupted(output: str, options: PipelineOptions) -> dict[str, Any]:
    """Publishes what is committed in an output folder whose run nobody waited for.

    What is committed stays, so that a job that is still running loses nothing: publish again
    when it has ended.

    Returns:
        The manifest, as written; what only the pipeline's counters tell is left out.

    Raises:
        ConfigError: where nothing is committed.
        OSError: where the output cannot be read or written.
    """
    notes = journal.read_notes(output)
    if not notes:
        raise ConfigError(f"{output}: holds nothing that is committed and not yet published")
    note = notes[-1]
    before = [run for run in runs_in(output) if run["run_id"] != note.run_id]
    return finish(output, note, before, committed_columns(output), None, options, complete=False)


def config_of(note: RunNote) -> JobConfig:
    """Returns the settings of a run from its note."""
    settings = dict(note.settings)
    for name in ("input", "carry_columns"):
        if settings[name] is not None:
            settings[name] = tuple(settings[name])
    return JobConfig(**settings)


def delete_results(output: str) -> None:
    """Removes what an earlier run published into an output folder, and nothing else."""
    names = (MANIFEST_NAME, REPORT_NAME, METADATA_NAME)
    storage.delete([storage.join(output, name) for name in names])
    for table in (records.CAPTIONS, records.FAILURES):
        storage.delete_folder(storage.join(output, table.name))


def forget_committed(output: str, note: RunNote) -> None:
    """Removes what was committed, once it is published and the manifest is written."""
    # JSON lines are not read back: a later run goes on from the committed rows.
    if note.identity.output_format == "parquet":
        journal.clear(output)
    else:
        storage.delete_folder(storage.join(output, journal.STAGING))


def _write_metadata(output: str, config: JobConfig) -> Mapping[str, Any]:
    address = config.metadata_jsonl or storage.join(output, METADATA_NAME)
    result = write_metadata(output, address, config.input)
    if result.left_out:
        logger.warning(
            "%s: %d captions are left out: their images do not lie below %s",
            address,
            result.left_out,
            result.folder,
        )
    return dataclasses.asdict(result)


def _write_report(output: str, config: JobConfig, manifest: dict[str, Any]) -> str | None:
    """Writes the report and returns its name; None where that fails."""
    # Here, so that a job's first caption does not wait for what draws its last page.
    from beam_jobs.report.writing import ReportConfig, write_report

    fetch = config.fetch_config().replace(timeout_secs=REPORT_FETCH_SECS, attempts=1)
    try:
        shown = ReportConfig(attention=config.report_attention, fetch=fetch)
        write_report(output, manifest, config=shown)
        return REPORT_NAME
    # A page to look at must not fail a run whose tables are complete.
    except Exception:
        logger.exception("%s could not be written; the tables are complete", REPORT_NAME)
        return None
