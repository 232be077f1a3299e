"""Writes metadata.json, a Flex Template's parameters, from the job's own flags.

python -m deploy.flex_template.make_metadata > deploy/flex_template/metadata.json
"""

import dataclasses
import json
import sys
import types
import typing
from typing import Any

from beam_jobs.config import DISPLAY, ESTIMATE, JobConfig

REQUIRED = ("input", "output")
# Beam's own that a run of this job needs to say.
BEAM_PARAMETERS = {
    "sdk_container_image": (
        "Worker image",
        "image of the workers, built from the Dockerfile of this repository",
        r"[\w.-]+(:[0-9]+)?/[\w./-]+([:@][\w.:-]+)?",
        False,
    ),
    "number_of_worker_harness_threads": (
        "Threads a process",
        "bundles of work that one worker process does at the same time",
        r"[1-9][0-9]*",
        True,
    ),
    "disk_size_gb": (
        "Disk in GB",
        "disk of a worker; the unpacked image must fit",
        r"[1-9][0-9]*",
        True,
    ),
}
REGEXES = {
    bool: r"true|false",
    int: r"-?[0-9]+",
    float: r"-?[0-9]+([.][0-9]+)?",
    str: r".+",
}
# Flags of runs on one machine.
LOCAL = ("workers",)
PATTERNS = {
    "batch_size": r"auto|[1-9][0-9]*",
    "output": r"gs://.+",
    "bundle": r"gs://.+",
    "metadata_jsonl": r"gs://.+",
}


def metadata() -> dict[str, Any]:
    """Returns the content of metadata.json."""
    return {
        "name": "Caption images in batch",
        "description": "Captions images with a TensorFlow model on GPU workers: every input "
        "becomes one row of a captions or of a failures table. After the job, "
        "`caption-images publish OUTPUT` makes the tables visible.",
        "parameters": [*_job_parameters(), *_beam_parameters()],
    }


def _job_parameters() -> list[dict[str, Any]]:
    hints = typing.get_type_hints(JobConfig)
    return [
        _parameter(
            field.name,
            field.name.replace("_", " ").capitalize(),
            field.metadata["help"],
            PATTERNS.get(field.name) or _regex(hints[field.name]),
            field.name not in REQUIRED,
        )
        for field in dataclasses.fields(JobConfig)
        if field.metadata["group"] not in (DISPLAY, ESTIMATE) and field.name not in LOCAL
    ]


def _beam_parameters() -> list[dict[str, Any]]:
    return [_parameter(name, *rest) for name, rest in BEAM_PARAMETERS.items()]


def _parameter(name: str, label: str, text: str, regex: str, optional: bool) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "helpText": text,
        "isOptional": optional,
        "regexes": [f"^({regex})$"],
    }


def _regex(hint: Any) -> str:
    """Returns what a value of a field's type looks like."""
    kinds = _kinds(hint)
    words = [word for kind in kinds for word in typing.get_args(kind) if isinstance(word, str)]
    if words:
        return "|".join(words)
    return REGEXES.get(kinds[0], REGEXES[str])


def _kinds(hint: Any) -> list[Any]:
    """Returns the types of a union without None; those of anything else are itself."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [kind for kind in typing.get_args(hint) if kind is not type(None)]
    return [hint]


if __name__ == "__main__":
    json.dump(metadata(), sys.stdout, indent=2)
    sys.stdout.write("\n")
