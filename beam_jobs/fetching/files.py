"""One attempt to read an image, or its span of an archive, through a file system."""

import os
from typing import BinaryIO

from beam_jobs import storage
from beam_jobs.fetching.errors import ShortArchiveError, TooManyBytesError
from beam_jobs.fetching.object_ranges import is_object, read_range
from beam_jobs.inputs.rows import Span

# To ask for the limit at once would take and give back that much memory for each small file, five
# times as long as reading it.
_PIECE_BYTES = 256 * 1024


def located(address: str, base_folder: str) -> str:
    """Returns where a file is: relative local paths start from `base_folder`."""
    if not base_folder or "://" in address:
        return address
    return os.path.join(base_folder, address)


def read_file(address: str, max_bytes: int, timeout_secs: float) -> bytes:
    """Reads a whole file.

    Args:
        address: where it is.
        max_bytes: most bytes it may have.
        timeout_secs: see `read_range`; other file systems have no limit.

    Raises:
        TooManyBytesError: where it has more than `max_bytes`.
        OSError: or whatever the file system raises where it cannot be read.
    """
    if is_object(address):
        data = read_range(address, 0, max_bytes + 1, timeout_secs)
    else:
        with storage.open_read(address) as stream:
            data = _read_up_to(stream, max_bytes + 1)
    if len(data) > max_bytes:
        raise TooManyBytesError(max_bytes)
    return data


def read_span(span: Span, max_bytes: int, timeout_secs: float) -> bytes:
    """Reads what lies in an archive.

    Args:
        span: where; the address is taken as it is.
        max_bytes: most bytes to read.
        timeout_secs: see `read_range`; other file systems have no limit.

    Raises:
        TooManyBytesError: where the span has more than `max_bytes`.
        ShortArchiveError: where the archive ends before the span does.
        OSError: or whatever the file system raises where it cannot be read.
    """
    if span.num_bytes > max_bytes:
        raise TooManyBytesError(max_bytes)
    if span.num_bytes == 0:
        return b""
    if is_object(span.address):
        data = read_range(span.address, span.offset_bytes, span.num_bytes, timeout_secs)
    else:
        with storage.open_read(span.address) as stream:
            stream.seek(span.offset_bytes)
            data = stream.read(span.num_bytes)
    if len(data) < span.num_bytes:
        raise ShortArchiveError(
            f"{span.address} ends {span.num_bytes - len(data)} bytes before the image that lies "
            f"at {span.offset_bytes} does; it may be cut off"
        )
    return data


def _read_up_to(stream: BinaryIO, num_bytes: int) -> bytes:
    """Reads to the end, or so many bytes."""
    pieces = []
    while num_bytes and (piece := stream.read(min(num_bytes, _PIECE_BYTES))):
        pieces.append(piece)
        num_bytes -= len(piece)
    return b"".join(pieces)
