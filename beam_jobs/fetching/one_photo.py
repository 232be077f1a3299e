"""One photo's bytes by its URI, as the job reads them; for what looks at single photos.

Takes a URI as rows hold it: an address on any file system that Beam knows, an http(s) URL, or a
member of an archive (`photos.tar#name`); gives the encoded bytes.
"""

import contextlib

from beam_jobs.config import FetchConfig
from beam_jobs.fetching.fetcher import Fetcher, is_http
from beam_jobs.inputs.rows import InputRow
from beam_jobs.inputs.tar_shards import find_member


def read_photo(uri: str, config: FetchConfig) -> bytes:
    """Reads a photo; may be called by several threads at a time.

    Args:
        uri: where it is.
        config: how it is read.

    Raises:
        FetchFailedError: from the last error, after the last attempt.
        OSError: where an archive cannot be searched.
    """
    # A fetcher for each photo: one may not be used by two threads at a time.
    with contextlib.closing(Fetcher(config)) as fetcher:
        span = None if is_http(uri) else find_member(uri, config.base_folder)
        return fetcher.fetch_row(InputRow(uri, span=span))
