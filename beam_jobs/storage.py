"""Files on any file system that Beam knows, in the few ways this job needs them.

Takes addresses: local paths, `file://`, `gs://`, `s3://` and whatever else Beam's `FileSystems`
reads. Bytes are taken as they are: a name such as `photo.gz` is not decompressed. What fails is an
`OSError` that names the address, a missing bucket among it.
"""

import contextlib
import glob
import os
import urllib.parse
import uuid
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems

from beam_jobs import object_stores

OBJECT_STORES = ("gs://", "s3://", "azfs://")
RAW = CompressionTypes.UNCOMPRESSED


def plain_path(address: str) -> str:
    """Returns `file:///a%20b` as `/a b`, and any other address unchanged."""
    if not address.lower().startswith("file://"):
        return address
    return urllib.parse.unquote(address[len("file://") :].removeprefix("localhost"))


def join(folder: str, *names: str) -> str:
    """Returns the address of something inside a folder."""
    return str(FileSystems.join(folder.rstrip("/") or "/", *names))


def escape(address: str) -> str:
    """Returns an address in which no character is a wildcard, for use in a pattern."""
    return glob.escape(address)


def open_read(address: str) -> BinaryIO:
    """Opens a file for reading bytes; the caller closes it.

    Read Parquet from it with `use_threads=False`: Arrow's threads let go of a Python file after the
    read has returned, and may abort a process that ends just then (apache/arrow issue 33975).

    Raises:
        OSError: where it cannot be opened.
    """
    if address.startswith(object_stores.SCHEMES):
        return object_stores.open_read(address)
    return FileSystems.open(plain_path(address), compression_type=RAW)


def open_write(address: str) -> BinaryIO:
    """Opens a file for writing bytes, its folders made where they are missing.

    On an object store it appears when it is closed, and never where an error ends its `with`.

    Raises:
        OSError: where it cannot be opened; writing and closing raise it too.
    """
    if address.startswith(object_stores.SCHEMES):
        return object_stores.open_write(address)
    return FileSystems.create(plain_path(address), compression_type=RAW)


def write_bytes(address: str, data: bytes) -> None:
    """Writes a file at once, its folders made where they are missing."""
    with open_write(address) as stream:
        stream.write(data)


def is_object_store(address: str) -> bool:
    """Tells whether one write of a whole object is atomic there: gs, s3 and azfs."""
    return address.lower().startswith(OBJECT_STORES)


def write_atomically(address: str, data: bytes) -> None:
    """Writes a file that readers see whole or not at all, and that a crash does not take back.

    Raises:
        OSError: where it cannot be written.
    """
    path = plain_path(address)
    if is_object_store(path):
        write_bytes(path, data)
    elif "://" in path:
        replace_bytes(path, data)
    else:
        _write_durably(path, data)


def _write_durably(path: str, data: bytes) -> None:
    folder, name = os.path.split(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    partial = os.path.join(folder, f".{name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with open(partial, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise
    sync_folder(folder)


def sync_folder(folder: str) -> None:
    """Makes the names in a local folder as durable as the files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move(source: str, target: str) -> None:
    """Gives a file its final name; a second call, by a retried worker, does nothing."""
    if not exists(source) and exists(target):
        return
    if "://" not in target:
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    _rename(source, target)


def replace(source: str, target: str) -> None:
    """Gives a file the name of another one, which it replaces."""
    _rename(plain_path(source), plain_path(target))


def replace_bytes(address: str, data: bytes) -> None:
    """Writes a file under another name, then renames it: readers never see half of it."""
    partial = f"{address}.partial"
    write_bytes(partial, data)
    _rename(partial, address)


def _rename(source: str, target: str) -> None:
    if source.startswith(object_stores.SCHEMES):
        with object_stores.errors_named(source, f"cannot become {target}: one of them is missing"):
            FileSystems.rename([source], [target])
    else:
        FileSystems.rename([source], [target])


def exists(address: str) -> bool:
    """Tells whether there is a file, or a local folder; there is none in a missing bucket."""
    if address.startswith(object_stores.SCHEMES):
        return object_stores.exists(address)
    return bool(FileSystems.exists(plain_path(address)))


def is_local_folder(address: str) -> bool:
    """Tells whether it is a folder on this machine; object stores have none."""
    return "://" not in address and os.path.isdir(address)


def list_pattern(pattern: str, limit: int | None = None) -> Iterator[FileMetadata]:
    """Yields the files that match a glob; `**` crosses folders, objects ending in `/` are left out.

    Args:
        pattern: the glob.
        limit: most files to find; listing stops there.

    Raises:
        OSError: where it cannot be listed, also for want of the bucket.
    """
    for metadata in _match(pattern, limit):
        if not metadata.path.endswith("/"):
            yield metadata


def _match(pattern: str, limit: int | None) -> list[FileMetadata]:
    if not pattern.startswith(object_stores.SCHEMES):
        return list(FileSystems.match([pattern], [limit])[0].metadata_list)
    with object_stores.errors_named(pattern):
        found = list(FileSystems.match([pattern], [limit])[0].metadata_list)
    if not found:
        object_stores.check_bucket(pattern)
    return found


def list_folder(folder: str, limit: int | None = None) -> Iterator[FileMetadata]:
    """Yields all files below a folder, however deep; nothing where there is no folder."""
    return list_pattern(join(glob.escape(folder), "**"), limit)


def delete(addresses: Iterable[str]) -> None:
    """Removes files, and local folders with all they hold; missing ones are passed over."""
    in_buckets: dict[str, list[str]] = {}
    elsewhere = []
    for address in addresses:
        if address.startswith(object_stores.SCHEMES):
            in_buckets.setdefault(object_stores.bucket_of(address), []).append(address)
        elif FileSystems.exists(address):
            elsewhere.append(address)
    for objects in in_buckets.values():
        object_stores.delete(objects)
    if elsewhere:
        FileSystems.delete(elsewhere)


def delete_folder(folder: str) -> None:
    """Removes a folder with all it holds; on an object store, everything below that prefix."""
    if is_local_folder(folder):
        FileSystems.delete([folder])
    elif "://" in folder:
        delete([found.path for found in list_folder(folder)])
