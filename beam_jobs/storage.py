"""Files on any file system that Beam knows, in the few ways this job needs them.

Takes addresses: local paths, `file://`, `gs://`, `s3://` and whatever else Beam's `FileSystems`
reads. Bytes are taken as they are: a name such as `photo.gz` is not decompressed.
"""

import glob
import os
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems

RAW = CompressionTypes.UNCOMPRESSED


def plain_path(address: str) -> str:
    """Returns `file:///a%20b` as `/a b`, and any other address unchanged."""
    if not address.lower().startswith("file://"):
        return address
    return urllib.parse.unquote(address[len("file://") :].removeprefix("localhost"))


def join(folder: str, *names: str) -> str:
    """Returns the address of something inside a folder."""
    return str(FileSystems.join(folder.rstrip("/") or "/", *names))


def open_read(address: str) -> BinaryIO:
    """Opens a file for reading bytes; the caller closes it."""
    return FileSystems.open(plain_path(address), compression_type=RAW)


def write_bytes(address: str, data: bytes) -> None:
    """Writes a file at once, its folders made where they are missing."""
    with FileSystems.create(address, compression_type=RAW) as stream:
        stream.write(data)


def move(source: str, target: str) -> None:
    """Gives a file its final name; a second call, by a retried worker, does nothing."""
    if not FileSystems.exists(source) and FileSystems.exists(target):
        return
    if "://" not in target:
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    FileSystems.rename([source], [target])


def replace_bytes(address: str, data: bytes) -> None:
    """Writes a file under another name, then renames it: readers never see half of it."""
    partial = f"{address}.partial"
    write_bytes(partial, data)
    FileSystems.rename([partial], [address])


def exists(address: str) -> bool:
    """Tells whether there is a file, or a local folder."""
    return bool(FileSystems.exists(plain_path(address)))


def is_local_folder(address: str) -> bool:
    """Tells whether it is a folder on this machine; object stores have none."""
    return "://" not in address and os.path.isdir(address)


def list_pattern(pattern: str, limit: int | None = None) -> Iterator[FileMetadata]:
    """Yields the files that match a glob; `**` crosses folders, objects ending in `/` are left out.

    Args:
        pattern: the glob.
        limit: most files to find; listing stops there.
    """
    [result] = FileSystems.match([pattern], [limit])
    for metadata in result.metadata_list:
        if not metadata.path.endswith("/"):
            yield metadata


def list_folder(folder: str, limit: int | None = None) -> Iterator[FileMetadata]:
    """Yields all files below a folder, however deep; nothing where there is no folder."""
    return list_pattern(join(glob.escape(folder), "**"), limit)


def delete(addresses: Iterable[str]) -> None:
    """Removes files, and local folders with all they hold; missing ones are passed over."""
    present = [address for address in addresses if FileSystems.exists(address)]
    if present:
        FileSystems.delete(present)


def delete_folder(folder: str) -> None:
    """Removes a folder with all it holds; on an object store, everything below that prefix."""
    if is_local_folder(folder):
        FileSystems.delete([folder])
    elif "://" in folder:
        delete([found.path for found in list_folder(folder)])
