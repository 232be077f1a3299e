"""Text lists: one image, folder or glob a line.

A line is one URI, unless it ends in `/` or holds a `*`. What cannot be found stays in as a URI
of its own and fails when it is read: no line of a list is lost. A byte order mark, blank lines,
lines that begin with `#`, and the spaces around a URI are left out.
"""

import codecs
from collections.abc import Iterator

from beam_jobs.fetching.fetcher import is_http
from beam_jobs.inputs.formats import LIST_MARK, InputSpec
from beam_jobs.inputs.lines import BoundedLines, open_bytes
from beam_jobs.inputs.listing import expand_location
from beam_jobs.inputs.problems import BadRowError, NotUtf8Error, RowError
from beam_jobs.inputs.tables import RawRow
from beam_jobs.inputs.values import shown

COMMENT_MARK = "#"


def read_raw(spec: InputSpec, path: str) -> Iterator[RawRow | RowError]:
    """Yields the URIs of a list.

    Args:
        spec: the input.
        path: the list's address, without `@`.
    """
    for line in _lines(spec, path):
        if isinstance(line, RowError):
            yield line
        elif not is_http(line) and (line.endswith("/") or "*" in line):
            yield from _expand(line, spec.base_folder)
        else:
            yield RawRow(line)


def list_address(where: str) -> str:
    """Returns the address of the list that `@LIST` names."""
    return where.removeprefix(LIST_MARK)


def _expand(line: str, base_folder: str) -> Iterator[RawRow]:
    try:
        for uri in expand_location(line, base_folder):
            yield RawRow(uri)
    except ValueError:
        # No file system of Beam has such addresses: the line fails by itself.
        yield RawRow(line)


def _lines(spec: InputSpec, path: str) -> Iterator[str | RowError]:
    with open_bytes(path, spec.base_folder) as stream:
        lines = BoundedLines(stream)
        number = 0
        while True:
            number += 1
            try:
                raw = next(lines)
            except StopIteration:
                return
            except BadRowError as error:
                yield BadRowError(f"line {number}: {error}")
                continue
            line = _line(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw, number)
            if line:
                yield line


def _line(raw: bytes, number: int) -> str | RowError:
    """Returns the URI of a line; an empty text where it holds none."""
    line = raw.decode("utf-8", "backslashreplace").strip()
    if line.startswith(COMMENT_MARK):
        return ""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return NotUtf8Error(f"line {number} is not UTF-8: {shown(line)}")
    return line
