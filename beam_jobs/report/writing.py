"""`report.html`: one self-contained page that shows how a run went.

Takes the output folder of a finished run and its manifest; writes a page with previews of
some photos and their captions, the most and the least confident, the failures by kind,
the runs with their speed, and the settings. The page holds no script and loads nothing, so
that it can be mailed or kept beside the tables. Captions, URIs and messages are outside
text: all of it is escaped, and a Content-Security-Policy forbids what escaping should have
stopped.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from beam_jobs import storage
from beam_jobs.config import FetchConfig
from beam_jobs.fetching.one_photo import read_photo
from beam_jobs.report import REPORT_NAME
from beam_jobs.report.attention import attention_pictures
from beam_jobs.report.data import summarize_captions, summarize_failures
from beam_jobs.report.page import render_report
from beam_jobs.report.thumbnails import ReadBytes, ThumbnailConfig, read_thumbnails


@dataclasses.dataclass(frozen=True)
class ReportConfig:
    """What the report shows.

    Attributes:
        sample_size: photos drawn at random.
        ranked_size: photos of the most and of the least confident, each.
        attention: photos of the sample, from its first, with a picture of what the model looked
            at for each word; more than 0 loads the run's bundle.
        examples_per_failure: failures shown for each pair of stage and error type.
        seed: of the draw.
        thumbnails: how previews are made.
        fetch: how their photos are read again, unless the caller reads them.
    """

    sample_size: int = 48
    ranked_size: int = 12
    attention: int = 0
    examples_per_failure: int = 5
    seed: int = 0
    thumbnails: ThumbnailConfig = dataclasses.field(default_factory=ThumbnailConfig)
    fetch: FetchConfig = dataclasses.field(
        default_factory=lambda: FetchConfig(timeout_secs=10.0, attempts=1)
    )


def write_report(
    output: str,
    manifest: Mapping[str, Any],
    *,
    read_bytes: ReadBytes | None = None,
    config: ReportConfig | None = None,
) -> str:
    """Writes the report of a run.

    Args:
        output: the run's output folder, on any file system that Beam knows.
        manifest: the run's manifest; what is missing in it is left out of the page.
        read_bytes: gives the bytes of a photo's URI again, or raises; called by several
            threads at a time, and must give up in finite time. By default photos are read
            as the job reads them, over http(s) too, as `config.fetch` says.
        config: what to show.

    Returns:
        The path of the page.

    Raises:
        OSError: when the tables cannot be read or the page cannot be written.
        TableError: when a table is damaged. A photo that cannot be read again raises nothing:
            its card says so.
    """
    config = config or ReportConfig()
    captions = summarize_captions(
        output,
        sample_size=config.sample_size,
        ranked_size=config.ranked_size,
        seed=config.seed,
    )
    failures = summarize_failures(output, examples=config.examples_per_failure)
    shown = (*captions.sample, *captions.most_confident, *captions.least_confident)
    read_bytes = read_bytes or functools.partial(read_photo, config=config.fetch)
    digests = {photo.uri: photo.image_sha256 for photo in shown}
    thumbnails = read_thumbnails(digests, read_bytes, config.thumbnails)
    pictures = attention_pictures(captions.sample[: config.attention], manifest, read_bytes)
    page = render_report(manifest, captions, failures, thumbnails, pictures)
    path = storage.join(output, REPORT_NAME)
    # A command line may hold bytes that are no UTF-8; they must not stop the report.
    storage.replace_bytes(path, page.encode("utf-8", "backslashreplace"))
    return path
