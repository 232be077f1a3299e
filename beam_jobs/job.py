"""One run of the job, from settings to exit code.

Everything that can be the caller's mistake is looked at before any work (`prepare`): then the
output is claimed, the pipeline runs, and report and manifest are written, the manifest last.
"""

import datetime
import logging
import threading
import uuid
from collections.abc import Sequence
from typing import Any, TextIO

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from beam_jobs import console, records, storage
from beam_jobs.config import JobConfig
from beam_jobs.counters import JobCounts, read_counts
from beam_jobs.manifest import MANIFEST_NAME, RunRecord, build_manifest, write_manifest
from beam_jobs.pipeline import JobPlan, build_pipeline
from beam_jobs.progress import ProgressListener, ProgressSender
from beam_jobs.report.writing import REPORT_NAME, ReportConfig, write_report
from beam_jobs.sinks import STAGING, delete_parts, list_parts
from beam_jobs.sources import check_input
from model_lib.bundle import default_bundle_path, read_bundle_info
from model_lib.errors import CaptioningError, ConfigError

# Runners whose workers are on this machine, where the display's datagrams arrive.
LOCAL_RUNNERS = frozenset({"FnApiRunner", "DirectRunner", "PrismRunner", "PortableRunner"})
REPORT_FETCH_SECS = 10.0

logger = logging.getLogger(__name__)


class PipelineError(CaptioningError):
    """The pipeline ended before its work; what it had written is still in the staging folder."""


def prepare(config: JobConfig, options: PipelineOptions) -> JobPlan:
    """Decides everything, and refuses what cannot work; writes nothing.

    Args:
        config: what the command line says.
        options: Beam's own.

    Raises:
        ConfigError: for a wrong setting, input or output.
        BundleError: where there is no bundle.
    """
    FileSystems.set_options(options)
    bundle = config.bundle or default_bundle_path()
    info = read_bundle_info(bundle, storage.open_read)
    decode = config.decode_config(info.decode)
    for where in config.input:
        check_input(where)
    _check_output(config)
    return JobPlan(config, _new_run_id(), bundle, info, decode)


def run(
    plan: JobPlan,
    options: PipelineOptions,
    command_line: Sequence[str] = (),
    line_stream: TextIO | None = None,
) -> dict[str, Any]:
    """Runs the job.

    Args:
        plan: from `prepare`.
        options: Beam's own.
        command_line: for the manifest.
        line_stream: where the progress line goes; log lines where there is none.

    Returns:
        The manifest, as written.

    Raises:
        ConfigError: where Beam refuses its options; nothing is written then.
        PipelineError: where the pipeline failed.
        OSError: where the output cannot be written.
    """
    started_at = records.utc_now()
    output = plan.config.output
    with ProgressListener(plan.run_id) as listener:
        sender = ProgressSender(listener.address if is_local(options) else None, plan.run_id)
        pipeline = _build_pipeline(plan, options, sender)
        _claim_output(plan)
        counts = _run_pipeline(pipeline, listener, line_stream)
    record = RunRecord(
        command_line=command_line,
        started_at=started_at,
        finished_at=records.utc_now(),
        counts=counts,
        caption_parts=list_parts(output, records.CAPTIONS),
        failure_parts=list_parts(output, records.FAILURES),
    )
    manifest = build_manifest(plan, record)
    manifest["report"] = None if plan.config.no_report else _write_report(plan, manifest)
    storage.delete_folder(storage.join(output, STAGING))
    write_manifest(output, manifest)
    return manifest


def is_local(options: PipelineOptions) -> bool:
    """Tells whether the workers are on this machine."""
    runner = options.view_as(StandardOptions).runner or ""
    return runner.rsplit(".", 1)[-1] in LOCAL_RUNNERS


def _check_output(config: JobConfig) -> None:
    output = config.output
    if storage.exists(output) and not storage.is_local_folder(output) and "://" not in output:
        raise ConfigError(f"--output {output}: is a file; expected a folder")
    if not config.overwrite and any(True for _ in storage.list_folder(output, 1)):
        raise ConfigError(
            f"--output {output}: is not empty; choose another folder, or say --overwrite to "
            "replace what an earlier run wrote there"
        )


def _claim_output(plan: JobPlan) -> None:
    """Removes an earlier run's files, and notes what this one is, which shows if it can write."""
    output = plan.config.output
    storage.delete([storage.join(output, name) for name in (MANIFEST_NAME, REPORT_NAME)])
    for table in (records.CAPTIONS, records.FAILURES):
        delete_parts(output, table)
    storage.delete_folder(storage.join(output, STAGING))
    note = storage.join(output, STAGING, plan.run_id, "run.json")
    storage.write_bytes(note, plan.config.to_json().encode("utf-8", "backslashreplace"))


def _build_pipeline(
    plan: JobPlan, options: PipelineOptions, progress: ProgressSender
) -> beam.Pipeline:
    try:
        return build_pipeline(plan, options, progress)
    except ValueError as error:
        # Beam's word for a runner it does not know, or options a runner needs and has not.
        raise ConfigError(f"Beam's options: {error}") from error


def _run_pipeline(
    pipeline: beam.Pipeline, listener: ProgressListener, line_stream: TextIO | None
) -> JobCounts:
    worker = _PipelineThread(pipeline)
    worker.start()
    if line_stream is None:
        console.log_lines(lambda: listener.progress, worker.finished)
    else:
        console.show_line(lambda: listener.progress, worker.finished, line_stream)
    if worker.error is not None:
        raise PipelineError(_last_line(worker.error)) from worker.error
    return read_counts(worker.result)


class _PipelineThread(threading.Thread):
    """Runs a pipeline, so that the main thread can show how far it is."""

    def __init__(self, pipeline: beam.Pipeline) -> None:
        super().__init__(name="pipeline", daemon=True)
        self._pipeline = pipeline
        self.finished = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._pipeline.run()
            state = self.result.wait_until_finish()
            if state != "DONE":
                raise PipelineError(f"the pipeline ended as {state}")
        # Handed to the main thread, which turns it into a message and an exit code.
        except BaseException as error:
            self.error = error
        finally:
            self.finished.set()


def _write_report(plan: JobPlan, manifest: dict[str, Any]) -> str | None:
    """Writes the report and returns its name; None where that fails."""
    fetch = plan.config.fetch_config().replace(timeout_secs=REPORT_FETCH_SECS, attempts=1)
    try:
        write_report(plan.config.output, manifest, config=ReportConfig(fetch=fetch))
        return REPORT_NAME
    # A page to look at must not fail a run whose tables are complete.
    except Exception:
        logger.exception("%s could not be written; the tables are complete", REPORT_NAME)
        return None


def _new_run_id() -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def _last_line(error: BaseException) -> str:
    """Returns the line of Beam's message that names the cause: the last one that is no frame."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else repr(error)
