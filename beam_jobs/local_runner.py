"""Beam's local runner, whose worker processes are ours: see `worker_process`."""

import shlex
import sys
from typing import Any

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

WORKER_MODULE = "beam_jobs.worker_process"


class LocalRunner(FnApiRunner):
    """Beam's local runner; its worker processes run `WORKER_MODULE`."""

    def run_via_runner_api(self, pipeline_proto: Any, options: PipelineOptions) -> Any:
        """Runs a pipeline, as Beam's local runner does."""
        for environment in pipeline_proto.components.environments.values():
            if environment.urn == python_urns.SUBPROCESS_SDK:
                # In place of the shell that Beam starts, so that it is the launcher's own child.
                environment.payload = (
                    f"exec {shlex.quote(sys.executable)} -m {WORKER_MODULE}".encode()
                )
        return super().run_via_runner_api(pipeline_proto, options)


def local_runner(options: PipelineOptions) -> LocalRunner | None:
    """Returns the runner for a pipeline of several processes on this machine.

    Args:
        options: Beam's own.

    Returns:
        None where they ask for anything else: Beam takes the runner that they name.
    """
    runner = options.view_as(StandardOptions).runner
    mode = options.view_as(DirectOptions).direct_running_mode
    is_ours = runner == FnApiRunner.__name__ and mode == "multi_processing"
    return LocalRunner() if is_ours else None
