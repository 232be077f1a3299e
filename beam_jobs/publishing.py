"""`caption-images publish OUTPUT`: makes committed rows visible without captioning anything.

For a job that nobody waited for, such as one that a Flex Template started, or one that will not
be resumed. Takes the output folder and Beam's options; gives an exit code.
"""

import sys
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs import storage
from beam_jobs.finishing import publish_interrupted
from beam_jobs.subcommand import CommandParser, parse_words


def main(argv: Sequence[str]) -> int:
    """Runs the command; see its `--help`.

    Raises:
        ConfigError: for a wrong command line, or where nothing is committed.
        TableLoadError: where the job has a BigQuery table and the rows cannot be loaded.
        OSError: where the output cannot be read or written.
    """
    parser = CommandParser(
        prog="caption-images publish",
        description="Makes the rows that a run has committed visible in OUTPUT/captions and "
        "OUTPUT/failures, and writes manifest.json. What is committed stays, so it can be "
        "repeated while a job still runs. Other flags are Apache Beam's.",
    )
    parser.add_argument("output", metavar="OUTPUT", help="output folder of the job")
    words = parse_words(parser, argv)
    options = PipelineOptions([word for word in argv if word != words.output])
    counts = publish_interrupted(storage.plain_path(words.output), options)["counts"]
    sys.stdout.write(
        f"{counts['captions']} captions, {counts['failures']} failures in {words.output}\n"
    )
    return 0
