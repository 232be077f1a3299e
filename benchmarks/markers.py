"""Parts of a Markdown file that programs write, between two comments.

<!-- begin throughput -->
... written by a program ...
<!-- end throughput -->
"""

import re
from collections.abc import Mapping
from pathlib import Path


def replace_parts(text: str, parts: Mapping[str, str]) -> str:
    """Returns a text with the named parts replaced.

    Args:
        text: Markdown.
        parts: what is to stand between the comments, by name.

    Raises:
        ValueError: where the text has no such comments.
    """
    for name, content in parts.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
        body = content.strip() + "\n"
        text, count = pattern.subn(lambda m, b=body: f"{m[1]}{b}{m[2]}", text)
        if count != 1:
            raise ValueError(f"{count} places between {begin} and {end}; expected one")
    return text


def rewrite(path: Path, parts: Mapping[str, str]) -> None:
    """Replaces the named parts of a file."""
    path.write_text(replace_parts(path.read_text(), parts))
