"""`caption-images report OUTPUT`: writes the report of a finished output folder again.

Takes an output folder on any file system, with manifest and tables; writes `report.html` there.
Photos are read again for their previews; with `--attention` a few are captioned again.
"""

import dataclasses
import sys
from collections.abc import Sequence

from beam_jobs import storage
from beam_jobs.outputs.earlier import MANIFEST_NAME, read_manifest
from beam_jobs.report.thumbnails import ThumbnailConfig
from beam_jobs.report.writing import ReportConfig, write_report
from beam_jobs.subcommand import CommandParser, parse_words
from model_lib.errors import ConfigError


def main(argv: Sequence[str]) -> int:
    """Runs the command; see its `--help`.

    Raises:
        ConfigError: for a wrong command line, or a folder without a manifest.
        OSError: where the tables cannot be read or the page cannot be written.
    """
    words = parse_words(_parser(), argv)
    if min(words.sample_size, words.ranked_size, words.attention) < 0:
        raise ConfigError(
            "--sample_size, --ranked_size and --attention are numbers of photos, 0 or more"
        )
    output = storage.plain_path(words.output)
    manifest = read_manifest(output)
    if manifest is None:
        raise ConfigError(
            f"{output}: has no {MANIFEST_NAME}, so no run has ended here; "
            "`caption-images status` tells what there is"
        )
    config = ReportConfig(
        sample_size=words.sample_size,
        ranked_size=words.ranked_size,
        attention=words.attention,
        thumbnails=ThumbnailConfig(wanted=not words.no_previews),
    )
    fetch = config.fetch.replace(allow_private_addresses=words.allow_private_addresses)
    path = write_report(output, manifest, config=dataclasses.replace(config, fetch=fetch))
    sys.stdout.write(f"{path}\n")
    return 0


def _parser() -> CommandParser:
    defaults = ReportConfig()
    parser = CommandParser(
        prog="caption-images report",
        description="Writes OUTPUT/report.html again from the tables and the manifest in OUTPUT. "
        "Other flags are Apache Beam's, for its file systems.",
    )
    parser.add_argument("output", metavar="OUTPUT", help="output folder of a finished job")
    parser.add_argument(
        "--sample_size",
        type=int,
        default=defaults.sample_size,
        metavar="N",
        help="photos drawn at random (default: %(default)s)",
    )
    parser.add_argument(
        "--ranked_size",
        type=int,
        default=defaults.ranked_size,
        metavar="N",
        help="photos of the most and of the least confident, each (default: %(default)s)",
    )
    parser.add_argument(
        "--attention",
        type=int,
        default=defaults.attention,
        metavar="N",
        help="photos of the sample with a picture of what the model looked at for each word; "
        "loads the run's bundle (default: %(default)s)",
    )
    parser.add_argument(
        "--no_previews", action="store_true", help="read no photo: a page without pictures"
    )
    parser.add_argument(
        "--allow_private_addresses",
        action="store_true",
        help="let http(s) reach addresses that are not public, for previews",
    )
    return parser
