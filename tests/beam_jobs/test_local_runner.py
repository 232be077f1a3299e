import sys

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to

from beam_jobs.local_runner import LocalRunner, local_runner

PROCESSES = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]


@pytest.mark.parametrize(
    ("words", "is_ours"),
    [
        (["--runner=FnApiRunner", *PROCESSES], True),
        (["--runner=FnApiRunner"], False),
        (["--runner=DirectRunner", *PROCESSES], False),
        (["--runner=DataflowRunner"], False),
    ],
)
def test_only_for_processes_of_the_default_runner(words: list[str], is_ours: bool) -> None:
    runner = local_runner(PipelineOptions(words))
    assert isinstance(runner, LocalRunner) is is_ours
    assert runner is None or is_ours


def main_module(_: int) -> str:
    return sys.modules["__main__"].__spec__.name


def test_worker_processes_are_ours() -> None:
    options = PipelineOptions(["--runner=FnApiRunner", *PROCESSES])
    with beam.Pipeline(runner=local_runner(options), options=options) as pipeline:
        found = pipeline | beam.Create([1, 2]) | beam.Map(main_module)
        assert_that(found, equal_to(["beam_jobs.worker_process"] * 2))
