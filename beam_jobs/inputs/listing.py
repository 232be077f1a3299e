"""Which files and images an input stands for.

Takes folders, globs, single files and URLs; yields addresses as the input gives them: relative
where it is relative, whatever folder the relative ones are looked up from.

A folder gives its files by extension, however deep; a glob gives all it matches.
"""

import glob
import os
from collections.abc import Iterator

from beam_jobs import storage
from beam_jobs.fetching.fetcher import is_http
from beam_jobs.inputs.formats import EXTENSIONS, InputSpec
from beam_jobs.records import printable

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp")
_HIDDEN = ("_", ".")


def resolve(address: str, base_folder: str) -> str:
    """Returns where an address lies, for a process in any working directory.

    Args:
        address: any; only a relative local path changes.
        base_folder: what it starts from; "" for the working directory.
    """
    path = storage.plain_path(address)
    return path if not base_folder or "://" in path else os.path.join(base_folder, path)


def expand_location(where: str, base_folder: str = "") -> Iterator[str]:
    """Yields the URIs of a folder, a glob, an image or a URL; itself where nothing is found."""
    if is_http(where) or is_file(where, base_folder):
        yield where
        return
    found = False
    for path in list_images(where, base_folder):
        found = True
        yield printable(path)
    if not found:
        yield where


def list_images(where: str, base_folder: str = "", limit: int | None = None) -> Iterator[str]:
    """Yields all a glob matches, or the images of a folder.

    Args:
        where: a folder or glob.
        base_folder: what a relative path starts from.
        limit: most files of any kind to look at.
    """
    takes_all = is_glob(where, base_folder)
    for path in _list(where, base_folder, limit):
        if takes_all or is_image(path):
            yield path


def input_files(spec: InputSpec, limit: int | None = None) -> Iterator[str]:
    """Yields the files of an input of tables or archives, in alphabetical order.

    What a folder hides (`_temporary`, `.crc`: a name on the way that begins with `_` or `.`) is
    left out, as Spark and Arrow do.

    Args:
        spec: an input in files.
        limit: most files of any kind to look at.
    """
    if is_file(spec.where, spec.base_folder):
        yield spec.where
        return
    found = _list(spec.where, spec.base_folder, limit)
    if not is_glob(spec.where, spec.base_folder):
        found = (path for path in found if _belongs(path, spec))
    yield from sorted(found)


def is_file(where: str, base_folder: str = "") -> bool:
    """Tells whether there is such a file."""
    path = resolve(where, base_folder)
    return not path.endswith("/") and storage.exists(path) and not storage.is_local_folder(path)


def is_folder(where: str, base_folder: str = "") -> bool:
    """Tells whether it is a folder on this machine."""
    return storage.is_local_folder(resolve(where, base_folder))


def is_glob(where: str, base_folder: str = "") -> bool:
    """Tells whether it is a pattern, and not a local folder with such a name."""
    return glob.has_magic(storage.plain_path(where)) and not is_folder(where, base_folder)


def is_image(path: str) -> bool:
    """Tells it from the extension."""
    return path.lower().endswith(IMAGE_EXTENSIONS)


def _belongs(path: str, spec: InputSpec) -> bool:
    inside = path[len(storage.plain_path(spec.where).rstrip("/")) :].lstrip("/")
    hidden = any(name.startswith(_HIDDEN) for name in inside.split("/"))
    return not hidden and path.lower().endswith(EXTENSIONS[spec.format])


def _list(where: str, base_folder: str, limit: int | None = None) -> Iterator[str]:
    """Yields what a glob matches or a folder holds, relative where `where` is."""
    path = resolve(where, base_folder)
    # `..` and `.` stay as they are in what is found, so that the front can be cut off again.
    front = len(path) - len(storage.plain_path(where))
    if is_glob(where, base_folder):
        found = storage.list_pattern(glob.escape(path[:front]) + path[front:], limit)
    else:
        found = storage.list_folder(path, limit)
    for metadata in found:
        yield metadata.path[front:]
