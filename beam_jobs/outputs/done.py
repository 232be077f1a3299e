"""What earlier runs have done, read from their parts: a mark for each row.

A caption is done. A failure is done, too, unless it is to be tried again; of several failures of
one image the newest decides.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs import storage

BATCH_ROWS = 16_384


class DonePart(NamedTuple):
    """A Parquet file of an earlier run: its address, and whether it holds failures."""

    path: str
    has_failures: bool


class DoneMark(NamedTuple):
    """What an earlier run says of an image.

    Attributes:
        run_id: the run; empty for a caption.
        is_failure: whether it failed.
        is_transient: whether that failure may pass.
    """

    run_id: str = ""
    is_failure: bool = False
    is_transient: bool = False


def read_marks(part: DonePart) -> Iterator[tuple[str, DoneMark]]:
    """Yields URI and mark of each row of a part."""
    columns = ["uri", "run_id", "transient"] if part.has_failures else ["uri"]
    with storage.open_read(part.path) as stream:
        file = pq.ParquetFile(pa.PythonFile(stream, mode="r"))
        for batch in file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
            if not part.has_failures:
                yield from ((uri, DoneMark()) for uri in batch.column("uri").to_pylist())
                continue
            for row in batch.to_pylist():
                yield row["uri"], DoneMark(row["run_id"], True, row["transient"])


def is_done(marks: Sequence[DoneMark], retry_failures: Literal["all", "transient", "none"]) -> bool:
    """Tells whether an image needs no more work.

    Args:
        marks: of all rows of the image.
        retry_failures: which failures are tried again.
    """
    if not marks:
        return False
    if any(not mark.is_failure for mark in marks):
        return True
    newest = max(marks, key=lambda mark: mark.run_id)
    return retry_failures == "none" or (retry_failures == "transient" and not newest.is_transient)
