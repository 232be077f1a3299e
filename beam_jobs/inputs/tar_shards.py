"""Tar shards as WebDataset writes them: each image inside is an input of its own.

    photos/0001.jpg, photos/0001.json  ->  uri SHARD#photos/0001, span (SHARD, first byte, bytes)

The key is WebDataset's: the member's path up to the first dot of its last name. A second image
with the same key (`0001.jpg` and `0001.png`) is `SHARD#0001.png`. Only headers are read, the
data is sought over; other members (`.json`, `.txt`, `.cls`) are neither read nor carried, and
hidden files (`._0001.jpg`) are left out. The one column to carry is `key`.
"""

import contextlib
import io
import re
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from beam_jobs import storage
from beam_jobs.inputs.formats import InputSpec
from beam_jobs.inputs.listing import is_file, is_image, resolve
from beam_jobs.inputs.problems import (
    BadRowError,
    DamagedInputError,
    NotUtf8Error,
    damaged,
    is_damage,
    problem,
)
from beam_jobs.inputs.rows import InputRow, Span
from beam_jobs.records import printable

KEY_COLUMN = "key"
KEY_MARK = "#"
# One request to an object store; larger members are sought over.
HEADER_BUFFER_BYTES = 64 * 1024
# A long name, or the attributes of a pax header.
MAX_HEADER_BYTES = 1024 * 1024
_MEMBER_NAME = re.compile(r"((?:.*/|)[^./]+)[.]([^/]*)", re.DOTALL)
_BLOCK_BYTES = 512


def read_members(spec: InputSpec, path: str) -> Iterator[InputRow]:
    """Yields the images of one shard, in its order; their position is not set.

    Args:
        spec: the input that the shard belongs to.
        path: the shard.
    """
    keys: set[str] = set()
    number = 0
    try:
        with _open_for_headers(path, spec.base_folder) as stream:
            for member in _members(stream):
                found = _key_and_extension(member)
                if found is None:
                    continue
                key, extension = found
                number += 1
                name = f"{key}.{extension}" if key in keys else key
                keys.add(key)
                yield _row(spec, path, member, key, name)
    # `is_damage` tells a torn archive from a storage that fails, which must stop the run.
    except Exception as error:
        if not is_damage(error):
            raise
        place = printable(f"{path}#row={number + 1}")
        yield InputRow(place, (None,) * len(spec.carried), problem=problem(damaged(error)))


def find_member(uri: str, base_folder: str = "") -> Span | None:
    """Returns where a shard's image lies; None for what is no such image.

    Args:
        uri: as an input row has it: `shards/00.tar#photos/0001`.
        base_folder: what a relative path starts from.
    """
    for mark in re.finditer(KEY_MARK, uri):
        path = uri[: mark.start()]
        if path and is_file(path, base_folder):
            spec = InputSpec(path, "webdataset", base_folder=base_folder)
            return next((row.span for row in read_members(spec, path) if row.uri == uri), None)
    return None


def check_shard(spec: InputSpec, path: str) -> None:
    """Looks at the first header of a shard.

    Raises:
        tarfile.TarError: for what is no tar archive.
    """
    with _open_for_headers(path, spec.base_folder) as stream:
        next(_members(stream), None)


def _row(spec: InputSpec, path: str, member: tarfile.TarInfo, key: str, name: str) -> InputRow:
    uri = printable(f"{path}{KEY_MARK}{name}")
    carried = tuple(printable(key) if column == KEY_COLUMN else None for column in spec.carried)
    if member.issparse():
        error = BadRowError("stored as a sparse file, whose bytes do not lie together")
        return InputRow(uri, carried, problem=problem(error))
    if printable(key) != key:
        not_utf8 = NotUtf8Error(f"the name in the archive is not UTF-8: {printable(member.name)}")
        return InputRow(uri, carried, problem=problem(not_utf8))
    return InputRow(uri, carried, span=Span(path, member.offset_data, member.size))


def _key_and_extension(member: tarfile.TarInfo) -> tuple[str, str] | None:
    match = _MEMBER_NAME.fullmatch(member.name)
    if match is None or not member.isreg() or not is_image(member.name):
        return None
    return match[1], match[2]


def _members(stream: "_HeaderStream") -> Iterator[tarfile.TarInfo]:
    """Yields the members of an archive.

    Raises:
        DamagedInputError: where it ends before its end mark, or a header makes no sense.
        tarfile.TarError: likewise, as Python says it.
    """
    end = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    # `r:` refuses compressed archives, in which no member has a position.
    with tarfile.open(fileobj=cast(Any, stream), mode="r:") as archive:
        while member := archive.next():
            if archive.offset <= member.offset:
                raise DamagedInputError(f"impossible size at byte {member.offset}")
            if member.isreg() and not member.issparse() and member.offset_data + member.size > end:
                raise DamagedInputError(f"cut off inside {member.name}, at byte {end}")
            yield member
            # Headers of earlier members are not needed again.
            archive.members = []  # type: ignore[attr-defined]
        _check_end_mark(stream, archive.offset)


def _check_end_mark(stream: "_HeaderStream", offset: int) -> None:
    """Refuses an archive that does not end in blocks of zeros: `tarfile` takes it for whole."""
    stream.seek(offset)
    block = stream.read(_BLOCK_BYTES)
    if not block:
        raise DamagedInputError(f"the archive has no end mark; cut off at byte {offset}?")
    if block.strip(b"\0"):
        raise DamagedInputError(f"no member begins at byte {offset}, nor does the archive end")


class _HeaderStream:
    """What `tarfile` reads headers from; refuses to take more than a header into memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        if size > MAX_HEADER_BYTES:
            raise DamagedInputError(f"a header of {size} bytes at byte {self.tell()}")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


@contextlib.contextmanager
def _open_for_headers(path: str, base_folder: str) -> Iterator[_HeaderStream]:
    with _small_reads(storage.open_read(resolve(path, base_folder))) as stream:
        yield _HeaderStream(stream)


def _small_reads(stream: Any) -> BinaryIO:
    """Returns a stream that fetches little around what is read, not Beam's 16 MiB."""
    if isinstance(stream, io.BufferedReader):
        stream = stream.detach()
    elif hasattr(stream, "_chunk_size"):
        # google-cloud-storage's reader; Beam's FileSystems.open passes no size on.
        stream._chunk_size = HEADER_BUFFER_BYTES
    return cast(BinaryIO, io.BufferedReader(stream, HEADER_BUFFER_BYTES))
