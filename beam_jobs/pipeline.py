r"""The job's way from inputs to tables, as one Beam pipeline.

    inputs -> ListInputs -> distinct URIs, spread -> CaptionImages -> captions -> WriteTable
                                                               \----> failures -> WriteTable

Takes a `JobPlan`, in which everything is decided already; runs nothing.
"""

import dataclasses

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs import records
from beam_jobs.config import JobConfig
from beam_jobs.progress import ProgressSender
from beam_jobs.sinks import WriteTable
from beam_jobs.sources import ListInputs
from beam_jobs.transforms import CaptionImages
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
    """

    config: JobConfig
    run_id: str
    bundle: str
    info: BundleInfo
    decode: DecodeConfig


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
    pipeline = beam.Pipeline(options=options)
    results = (
        pipeline
        | "ListInputs" >> ListInputs(config.input, config.limit, progress)
        | "CaptionImages"
        >> CaptionImages(
            plan.bundle,
            decode=plan.decode,
            batch_size=config.batch_size,
            share_model=config.share_model,
            fetch=config.fetch_config(),
            run_id=plan.run_id,
            progress=progress,
        )
    )
    for table, rows in ((records.CAPTIONS, results.captions), (records.FAILURES, results.failures)):
        _ = rows | f"Write_{table.name}" >> WriteTable(table, config.output, plan.run_id)
    return pipeline
