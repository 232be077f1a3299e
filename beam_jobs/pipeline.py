r"""The job's way from inputs to committed rows, as one Beam pipeline.

    inputs -> ListInputs -> [ read -> caption -> rows -> commit ]

What is in brackets has no shuffle inside, so that rows become durable while images are still
being read; it asks for the GPU as a whole. Publishing what was committed is the launcher's
(`job.py`). Takes a `JobPlan`, in which everything is decided already; runs nothing.
"""

import dataclasses
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection
from apache_beam.transforms import combiners

from beam_jobs.accelerator import resource_hints
from beam_jobs.config import JobConfig
from beam_jobs.inputs.formats import InputSpec
from beam_jobs.inputs.rows import InputRow
from beam_jobs.local_runner import local_runner
from beam_jobs.outputs.earlier import Earlier
from beam_jobs.outputs.journal import Identity
from beam_jobs.outputs.publish import tables_of
from beam_jobs.progress import ProgressSender
from beam_jobs.records import Column
from beam_jobs.sinks import CommitRows
from beam_jobs.sources import ListInputs, unpack
from beam_jobs.transforms import CaptionRows
from model_lib.bundle_info import BundleInfo
from model_lib.config import DecodeConfig


@dataclasses.dataclass(frozen=True)
class JobPlan:
    """One run of the job, decided.

    Attributes:
        config: what the command line says.
        run_id: of this start.
        bundle: folder of the bundle in use.
        info: what the bundle says of itself.
        decode: decode settings in effect.
        identity: what must be the same in all runs of the job.
        output: the output folder; absolute where it is on this machine.
        inputs: what the command line's inputs are.
        carried: columns carried from the input.
        earlier: what earlier runs left in the output.
    """

    config: JobConfig
    run_id: str
    bundle: str
    info: BundleInfo
    decode: DecodeConfig
    identity: Identity
    output: str
    inputs: tuple[InputSpec, ...]
    carried: tuple[Column, ...]
    earlier: Earlier


def build_pipeline(
    plan: JobPlan, options: PipelineOptions, progress: ProgressSender | None = None
) -> beam.Pipeline:
    """Builds the pipeline of a run.

    Args:
        plan: the run.
        options: Beam's own, the runner among them.
        progress: where the steps report how far they are; nowhere by default.

    Returns:
        The pipeline, ready for `run()`.
    """
    config = plan.config
    pipeline = beam.Pipeline(runner=local_runner(options), options=options)
    inputs = pipeline | "ListInputs" >> ListInputs(
        plan.inputs,
        config.limit,
        done=plan.earlier.done,
        retry_failures=config.retry_failures,
        progress=progress,
    )
    hints = resource_hints(config.accelerator)
    committed = inputs | "CaptionAndCommit" >> CaptionAndCommit(plan, progress).with_resource_hints(
        **hints
    )
    # Beam's own engine notices that a worker died only where something waits for its output.
    _ = committed | "CountCommits" >> combiners.Count.Globally()
    return pipeline


class CaptionAndCommit(beam.PTransform[Any, Any]):
    """Lists of inputs, as `ListInputs` gives them -> nothing; their rows are committed."""

    def __init__(self, plan: JobPlan, progress: ProgressSender | None) -> None:
        """Keeps the run, and where to report."""
        super().__init__()
        self._plan = plan
        self._progress = progress

    def expand(self, inputs: PCollection[Any]) -> PCollection[Any]:
        """Builds the steps."""
        plan, config = self._plan, self._plan.config
        committed: PCollection[Any] = (
            inputs
            | "Unpack" >> beam.FlatMap(unpack).with_output_types(InputRow)
            | "CaptionRows"
            >> CaptionRows(
                plan.bundle,
                decode=plan.decode,
                batch_size=config.batch_size,
                precision=config.precision,
                encoder_runtime=config.encoder_runtime,
                share_model=config.share_model or config.accelerator is not None,
                fetch=config.fetch_config(),
                run_id=plan.run_id,
                style=config.caption_style(),
                carried_columns=[column.name for column in plan.carried],
                progress=self._progress,
            )
            | "CommitRows"
            >> CommitRows(
                tables_of(plan.carried),
                plan.output,
                plan.run_id,
                commit_every=config.commit_every,
            )
        )
        return committed
