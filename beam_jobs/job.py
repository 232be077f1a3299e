"""One run of the job, from settings to manifest.

Everything that can be the caller's mistake is looked at before any work (`prepare`): then the
output is claimed, the pipeline runs and commits rows, and what is committed is published
(`finishing.py`).
"""

import datetime
import logging
import os
import threading
import uuid
from collections.abc import Sequence
from typing import Any, TextIO

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from beam_jobs import console, finishing, records, storage
from beam_jobs.accelerator import resource_hints
from beam_jobs.config import JobConfig
from beam_jobs.counters import JobCounts, read_counts
from beam_jobs.estimate import Estimate, estimate
from beam_jobs.event_log import log_run_started
from beam_jobs.inputs.bigquery_rows import read_here
from beam_jobs.inputs.carried import carried_columns
from beam_jobs.inputs.checking import check_input
from beam_jobs.inputs.formats import InputSpec, parse_input
from beam_jobs.inputs.reading import read_rows
from beam_jobs.outputs import earlier, journal
from beam_jobs.outputs.bigquery import check_table, work_folder
from beam_jobs.outputs.journal import Identity, RunNote
from beam_jobs.outputs.publish import tables_of
from beam_jobs.pipeline import JobPlan, build_pipeline
from beam_jobs.progress import ProgressListener, ProgressSender
from beam_jobs.redaction import without_secrets
from model_lib.bundle import default_bundle_path, read_bundle_info
from model_lib.encoder_runtime import check_encoder_runtime
from model_lib.errors import CaptioningError, ConfigError

# Runners whose workers are on this machine, where the display's datagrams arrive.
LOCAL_RUNNERS = frozenset({"FnApiRunner", "DirectRunner", "PrismRunner", "PortableRunner"})

logger = logging.getLogger(__name__)


class PipelineError(CaptioningError):
    """The pipeline ended before its work; what it had committed stays."""


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
    resource_hints(config.accelerator)
    check_encoder_runtime(config.encoder_runtime, config.precision)
    inputs = _inputs(config)
    carried = carried_columns(inputs, config.carry_columns)
    inputs = tuple(spec.with_carried(carried) for spec in inputs)
    identity = Identity(
        info.fingerprint,
        decode.to_json(),
        journal.columns_text(carried),
        config.output_format,
        config.precision,
        config.caption_style().to_json(),
    )
    captions, failures = tables_of(carried)
    if config.output_table:
        check_table(config.output_table, captions, failures, options)
    output = _output_folder(config, options, identity)
    before = _look(config, output, identity)
    return JobPlan(
        config, _new_run_id(), bundle, info, decode, identity, output, inputs, carried, before
    )


def estimate_input(config: JobConfig, options: PipelineOptions) -> Estimate:
    """Estimates what the job would take; writes nothing.

    Args:
        config: what the command line says.
        options: Beam's own.

    Raises:
        ConfigError: for a wrong setting or input.
        BundleError: where there is no bundle.
    """
    FileSystems.set_options(options)
    inputs = _inputs(config)
    rows = (
        row
        for spec in inputs
        for row in (read_here(spec) if spec.format == "bigquery" else read_rows(spec))
    )
    return estimate(config, rows)


def _inputs(config: JobConfig) -> tuple[InputSpec, ...]:
    inputs = tuple(parse_input(where, at, config) for at, where in enumerate(config.input))
    for spec in inputs:
        check_input(spec)
    return inputs


def run(
    plan: JobPlan,
    options: PipelineOptions,
    command_line: Sequence[str] = (),
    line_stream: TextIO | None = None,
) -> dict[str, Any] | None:
    """Runs the job.

    Args:
        plan: from `prepare`.
        options: Beam's own.
        command_line: for the manifest.
        line_stream: where the progress line goes; log lines where there is none.

    Returns:
        The manifest, as written; None where Beam's options say to hand the job over and not to
        wait for it: `caption-images publish` finishes it then.

    Raises:
        ConfigError: where Beam refuses its options; nothing is written then.
        PipelineError: where the pipeline failed.
        OSError: where the output cannot be written.
    """
    note = _note(plan, command_line)
    log_run_started(
        plan.run_id,
        inputs=plan.config.input,
        output=plan.output,
        bundle=note.bundle,
        earlier_runs=len(plan.earlier.runs),
    )
    with ProgressListener(plan.run_id) as listener:
        sender = ProgressSender(listener.address if is_local(options) else None, plan.run_id)
        pipeline = _build_pipeline(plan, options, sender)
        _claim_output(plan, note)
        if not _waits(options):
            pipeline.run()
            return None
        counts = _run_pipeline(pipeline, listener, line_stream)
    manifest = finishing.finish(
        plan.output,
        note,
        plan.earlier.runs,
        plan.carried,
        counts if counts.known else None,
        options,
    )
    finishing.forget_committed(plan.output, note)
    return manifest


def _waits(options: PipelineOptions) -> bool:
    """Tells whether this process sees the pipeline's end."""
    said = options.get_all_options()
    return not (said["template_location"] or said.get("no_wait_until_finish"))


def is_local(options: PipelineOptions) -> bool:
    """Tells whether the workers are on this machine."""
    runner = options.view_as(StandardOptions).runner or ""
    return runner.rsplit(".", 1)[-1] in LOCAL_RUNNERS


def _note(plan: JobPlan, command_line: Sequence[str]) -> RunNote:
    return RunNote(
        run_id=plan.run_id,
        started_at=records.utc_now().isoformat(),
        command_line=without_secrets(list(command_line)),
        identity=plan.identity,
        bundle={
            "path": plan.bundle,
            "name": plan.info.name,
            "fingerprint": plan.info.fingerprint,
        },
        decode=plan.decode.to_dict(),
        settings=_plain(plan.config.to_dict()),
        keeps_published=plan.earlier.keeps_published,
    )


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns settings as JSON gives them back: lists for tuples."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()
    }


def _output_folder(config: JobConfig, options: PipelineOptions, identity: Identity) -> str:
    """Returns the output folder; for a table alone, one beside Beam's temporary files."""
    if config.output is None:
        return work_folder(config.output_table or "", options, identity.digest())
    output = storage.plain_path(config.output)
    if "://" in output:
        return config.output
    if storage.exists(output) and not storage.is_local_folder(output):
        raise ConfigError(f"--output {output}: is a file; expected a folder")
    # Workers may start in another folder.
    return os.path.abspath(output)


def _look(config: JobConfig, output: str, identity: Identity) -> earlier.Earlier:
    if config.overwrite:
        return earlier.Earlier()
    # A table's own work folder is the job's alone: a repeated run goes on from it.
    if config.resume or config.output is None:
        return earlier.look(output, identity, recompute=config.recompute)
    earlier.check_empty(output)
    return earlier.Earlier()


def _claim_output(plan: JobPlan, note: RunNote) -> None:
    """Removes what is of no use, and notes what this run is, which shows if it can write."""
    output = plan.output
    if plan.config.overwrite:
        finishing.delete_results(output)
    if plan.config.overwrite or plan.earlier.drops_committed:
        journal.clear(output)
    storage.delete_folder(storage.join(output, journal.STAGING))
    journal.write_note(output, note)


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
        raise PipelineError(
            f"{_last_line(worker.error)}; what was committed stays, go on with --resume"
        ) from worker.error
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


def _new_run_id() -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return f"{now:%Y%m%dT%H%M%S%fZ}-{uuid.uuid4().hex[:8]}"


def _last_line(error: BaseException) -> str:
    """Returns the line of Beam's message that names the cause: the last one that is no frame."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else repr(error)
