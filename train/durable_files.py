"""Text files that are old or new, never torn: what a kill leaves behind can be read.

Takes paths and texts; a file gets its name only when it is whole.
"""

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Writes a file beside its place and moves it there.

    Args:
        path: of the file, in a folder that exists; replaced where it is there.
        text: the whole content, written as UTF-8.
    """
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)
