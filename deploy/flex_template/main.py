"""What a Flex Template's launcher runs: the job, with its parameters as flags.

The launcher gives every parameter as `--name=value`. Flags without a value become parameters
with the value `true` or `false`, and what was left empty is no flag. The job is described and
handed over, not waited for: `caption-images publish OUTPUT` finishes it.
"""

import dataclasses
import sys
from collections.abc import Sequence

from beam_jobs import caption_images
from beam_jobs.config import JobConfig

SWITCHES = frozenset(
    f"--{field.name}" for field in dataclasses.fields(JobConfig) if field.type in (bool, "bool")
)


def flags_of(arguments: Sequence[str]) -> list[str]:
    """Returns the command line that the launcher's arguments mean.

    `["--resume=true", "--overwrite=false", "--limit=", "--output=gs://b/o"]` gives
    `["--resume", "--output=gs://b/o"]`.
    """
    flags = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in SWITCHES and equals:
            flags += [name] if value.strip().lower() == "true" else []
        elif value or not equals:
            flags.append(argument)
    return flags


if __name__ == "__main__":
    sys.exit(caption_images.main(flags_of(sys.argv[1:])))
