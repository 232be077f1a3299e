"""Text files that are old or new, never torn: what a kill leaves behind can be read.

Takes paths and texts; a file gets its name only when it is whole. Also says which bytes a file has.
"""

import hashlib
import os
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def replace_text(path: Path, text: str) -> None:
    """Writes a file beside its place and moves it there.

    Args:
        path: of the file, in a folder that exists; replaced where it is there.
        text: the whole content, written as UTF-8.
    """
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def sha256_of(path: Path) -> str:
    """Returns the hex sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
