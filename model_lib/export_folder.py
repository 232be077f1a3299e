"""The folder of an export: free when the work begins, and whole when it has its name.

Takes the address of a local folder. TensorFlow Serving, which may watch the parent, never sees
half an export.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from model_lib.errors import ExportError


def check_folder(folder: str) -> Path:
    """Checks, before any work, that an export may be written there.

    Args:
        folder: local; missing or empty.

    Returns:
        Its path.

    Raises:
        ExportError: where something lies there, or the folder is not local.
    """
    if "://" in folder:
        raise ExportError(f"{folder}: exports are written locally; export to a folder, then copy")
    path = Path(folder)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ExportError(f"{folder} is there already and not an empty folder: give another one")
    return path


@contextlib.contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """Gives a folder beside the target, which becomes the target unless an error is raised.

    Args:
        target: of `check_folder`; the folders above it are made.

    Yields:
        The other folder's path; the caller makes it.

    Raises:
        ExportError: where something has come to lie at the target meanwhile.
    """
    target = target.resolve()  # "." has no name, and a link stays one
    target.parent.mkdir(parents=True, exist_ok=True)
    # TensorFlow Serving passes over names that are no numbers.
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        yield part
        check_folder(str(target))
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
