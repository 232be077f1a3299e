"""Lines of files of any size, in bounded memory; `.gz` is decompressed.

A line above `MAX_LINE` is an error of that line alone: the next one is read after it.
"""

import gzip
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from beam_jobs import storage
from beam_jobs.inputs.formats import GZIP
from beam_jobs.inputs.listing import resolve
from beam_jobs.inputs.problems import BadRowError

# Bytes or characters. A row of a table has a URI and a few values.
MAX_LINE = 16 * 1024 * 1024
BUFFER_BYTES = 1024 * 1024


def open_bytes(address: str, base_folder: str = "") -> BinaryIO:
    """Opens a file of lines for reading; the caller closes it.

    Args:
        address: on any file system; one that ends in `.gz` is decompressed.
        base_folder: what a relative path starts from.
    """
    # Cloud streams without a buffer of their own would be asked for every byte of a line.
    stream = io.BufferedReader(
        cast(Any, storage.open_read(resolve(address, base_folder))), BUFFER_BYTES
    )
    if address.lower().endswith(GZIP):
        return cast(BinaryIO, _ClosingGzip(stream))
    return stream


class _ClosingGzip(gzip.GzipFile):
    """A decompressing reader that closes the file below it as well."""

    def __init__(self, stream: io.BufferedReader) -> None:
        super().__init__(fileobj=stream, mode="rb")
        self._below = stream

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._below.close()


class BoundedLines:
    """Iterates over the lines of a stream of bytes or text, line ends kept.

    `next` raises `BadRowError` for a line above the limit; the one after it follows then.
    """

    def __init__(self, stream: Any, max_line: int = MAX_LINE) -> None:
        """Keeps the stream; reads nothing.

        Args:
            stream: binary, or text opened with `newline=""`.
            max_line: most bytes or characters of a line, its end not counted.
        """
        self._stream = stream
        self._max_line = max_line

    def __iter__(self) -> Iterator[Any]:
        """Returns itself."""
        return self

    def __next__(self) -> Any:
        """Returns the next line."""
        size = self._max_line + 1
        line = self._stream.readline(size)
        if not line:
            raise StopIteration
        if len(line) < size or _is_whole(line):
            return line
        while line and not _is_whole(line):
            line = self._stream.readline(size)
        raise BadRowError(f"a line is longer than {self._max_line} bytes")


def _is_whole(line: bytes | str) -> bool:
    return line.endswith(b"\n") if isinstance(line, bytes) else line.endswith(("\n", "\r"))
