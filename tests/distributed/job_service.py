"""Beam's local job service, with as many workers as a pipeline's `--direct_num_workers` says.

The service that Beam starts from its command line always takes one. Run as a program of its own:
`python -m tests.distributed.job_service PORT STAGING_DIR`.
"""

import logging
import signal
import sys
import threading

from apache_beam.options.pipeline_options import DirectOptions
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.local_job_service import BeamJob, LocalJobServicer


class WideJob(BeamJob):
    """A job on Beam's engine, on several workers."""

    def _invoke_runner(self):
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        options = self.pipeline_options()
        runner = fn_runner.FnApiRunner(provision_info=self._provision_info)
        runner._num_workers = int(options.view_as(DirectOptions).direct_num_workers)
        return runner.run_via_runner_api(self._pipeline_proto, options)


def main(port: int, staging_dir: str) -> None:
    logging.basicConfig(level=logging.INFO)
    servicer = LocalJobServicer(staging_dir, beam_job_type=WideJob)
    servicer.start_grpc_server(port)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    stopped.wait()
    servicer.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
