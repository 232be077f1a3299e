"""The job as Dataflow would get it: described offline, nothing is submitted.

`--template_location`, which is also how a Flex Template's launcher asks, writes the job as JSON
and stages the pipeline beside it, here on an emulator of the object store.
"""

import dataclasses
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.internal import pickler
from apache_beam.io.filesystems import FileSystems
from apache_beam.portability.api import beam_runner_api_pb2

from beam_jobs import caption_images
from tests.images import good_images
from tests.services.fixtures import turn_google_to

IMAGE = "europe-docker.pkg.dev/project/repository/captions-worker:1"
PARDO = "beam:transform:pardo:v1"
GROUP_BY_KEY = "beam:transform:group_by_key:v1"
ACCELERATOR = "beam:resources:accelerator:v1"
COMMIT = "CaptionAndCommit/CommitRows/Commit"
READ = "CaptionAndCommit/CaptionRows/ReadImages"


@dataclasses.dataclass(frozen=True)
class Described:
    """What a launch wrote: its exit code, the job, its pipeline, names of objects."""

    exit_code: int
    job: dict[str, Any]
    pipeline: beam_runner_api_pb2.Pipeline
    objects: list[str]

    @property
    def pool(self) -> dict[str, Any]:
        [pool] = self.job["environment"]["workerPools"]
        return pool

    def leaves(self) -> dict[str, beam_runner_api_pb2.PTransform]:
        """The steps that do something, by name."""
        found = self.pipeline.components.transforms.values()
        return {step.unique_name: step for step in found if not step.subtransforms}

    def hints(self, step: beam_runner_api_pb2.PTransform) -> dict[str, bytes]:
        environments = self.pipeline.components.environments
        return dict(environments[step.environment_id].resource_hints)

    def after(self, name: str, until: str) -> set[str]:
        """Names of the steps that are reached from one step, not going on beyond another."""
        leaves = self.leaves()
        reached, ahead = {name}, [name]
        while ahead:
            outputs = set(leaves[ahead.pop()].outputs.values())
            for other, step in leaves.items():
                if other not in reached and outputs & set(step.inputs.values()):
                    reached.add(other)
                    ahead += [other] if other != until else []
        return reached


@pytest.fixture(scope="module")
def described(gcs_server, tmp_path_factory) -> Iterator[Described]:
    folder = tmp_path_factory.mktemp("dataflow")
    with pytest.MonkeyPatch.context() as patch:
        turn_google_to(gcs_server.environment, patch)
        bucket = gcs_server.create_bucket(f"bucket-{uuid.uuid4().hex}")
        with FileSystems.create(f"{bucket}/photos/a.jpg") as photo:
            photo.write(good_images()["rgb.jpg"])
        code = caption_images.main(
            [
                *("--input", f"{bucket}/photos", "--output", f"{bucket}/output"),
                *("--accelerator", "nvidia-l4", "--quiet"),
                *("--runner", "DataflowRunner", "--project", "test", "--region", "europe-west4"),
                *("--temp_location", f"{bucket}/temp", "--job_name", "captions"),
                *("--template_location", str(folder / "job.json")),
                *("--sdk_container_image", IMAGE, "--machine_type", "g2-standard-8"),
                *("--max_num_workers", "20", "--disk_size_gb", "100", "--no_use_public_ips"),
                *("--number_of_worker_harness_threads", "4"),
                *("--experiments", "use_sibling_sdk_workers"),
                *("--service_account_email", "captions@test.iam.gserviceaccount.com"),
            ]
        )
        job = json.loads((folder / "job.json").read_text())
        listed = [item.path for item in FileSystems.match([f"{bucket}/**"])[0].metadata_list]
        [staged] = [path for path in listed if path.endswith("/pipeline.pb")]
        with FileSystems.open(staged) as stream:
            pipeline = beam_runner_api_pb2.Pipeline.FromString(stream.read())
        yield Described(code, job, pipeline, [path.removeprefix(bucket) for path in listed])


def test_the_launcher_hands_over_and_leaves_the_output_to_the_workers(described):
    assert described.exit_code == 0
    written = [name for name in described.objects if name.startswith("/output/")]
    [note] = written
    assert note.startswith("/output/_committed/runs/")


def test_workers_run_our_image_on_the_machines_asked_for(described):
    pool = described.pool
    assert {image["containerImage"] for image in pool["sdkHarnessContainerImages"]} == {IMAGE}
    assert pool["machineType"] == "g2-standard-8"
    assert pool["numThreadsPerWorker"] == 4
    assert pool["diskSizeGb"] == 100
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 20
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    environment = described.job["environment"]
    assert environment["serviceAccountEmail"] == "captions@test.iam.gserviceaccount.com"
    assert "use_runner_v2" in environment["experiments"]
    assert "use_sibling_sdk_workers" in environment["experiments"]
    for each in described.pipeline.components.environments.values():
        assert IMAGE.encode() in each.payload
        assert "beam:protocol:sibling_workers:v1" in each.capabilities


def test_only_the_captioning_steps_ask_for_a_gpu(described):
    with_gpu = {
        name: described.hints(step)[ACCELERATOR]
        for name, step in described.leaves().items()
        if step.environment_id and ACCELERATOR in described.hints(step)
    }
    inside = {name for name in described.leaves() if name.startswith("CaptionAndCommit/")}
    assert {READ, "CaptionAndCommit/CaptionRows/Caption/BeamML_RunInference", COMMIT} <= inside
    assert set(with_gpu) == inside
    assert set(with_gpu.values()) == {b"type:nvidia-l4;count:1;install-nvidia-driver"}


def test_no_image_crosses_a_shuffle(described):
    """From the step that reads an image to the one that commits its row nothing is stored."""
    leaves = described.leaves()
    grouped = [name for name, step in leaves.items() if step.spec.urn == GROUP_BY_KEY]
    assert len(grouped) >= 2
    path = described.after(READ, until=COMMIT)
    assert COMMIT in path
    assert {leaves[name].spec.urn for name in path} == {PARDO}
    assert len({leaves[name].environment_id for name in path}) == 1
    for name in path:
        assert len(leaves[name].inputs) == 1  # no side inputs, which are stored as well
    # Beyond the commit there are no rows any more.
    assert path.isdisjoint(grouped)


def test_the_model_is_one_copy_for_the_processes_of_a_machine(described):
    [name] = [name for name in described.leaves() if name.endswith("BeamML_RunInference")]
    payload = beam_runner_api_pb2.ParDoPayload.FromString(described.leaves()[name].spec.payload)
    [do_fn, *_] = pickler.loads(payload.do_fn.payload)
    assert do_fn._model_handler.share_model_across_processes()
    assert do_fn._model_handler.model_copies() == 1
