"""From what `--input` says to a PCollection of distinct URIs.

An input is a folder, a glob, an image, an http(s) URL, or `@LIST`: a text file with one of these
a line. It is looked up in the launcher only to refuse a wrong one early; listing and reading
lists happen inside the pipeline, so that the launcher holds no more than the command line.
Wrong is a folder, glob or list that gives nothing; a missing image fails in a row of its own.

A folder gives its images by extension, however deep; a glob gives all it matches; a list's line
is one URI, unless it ends in `/` or holds a `*`. What cannot be found stays in as a URI of its
own and fails when it is read: no line of a list is lost.
"""

import codecs
import glob
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PBegin, PCollection
from apache_beam.transforms import combiners

from beam_jobs import storage
from beam_jobs.counters import DISTINCT, LISTED, SELECTED, count
from beam_jobs.fetching.fetcher import is_http
from beam_jobs.progress import ProgressSender
from beam_jobs.records import printable
from model_lib.errors import ConfigError

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp")
LIST_MARK = "@"
COMMENT_MARK = "#"
# Files looked at for an image before the job starts; a folder with more is taken on trust.
CHECKED_FILES = 10_000


def check_input(where: str) -> None:
    """Refuses an input that names nothing, before any work.

    Raises:
        ConfigError: naming the input and what was expected.
    """
    try:
        found = _names_something(where)
    # Beam's file systems and cloud clients have errors of their own.
    except Exception as error:
        raise ConfigError(f"--input {where}: cannot be looked up: {error}") from error
    if not found:
        raise ConfigError(f"--input {where}: {_what_is_missing(where)}")


def expand_input(where: str) -> Iterator[str]:
    """Yields the URIs that an input stands for, as given, in the order found."""
    if where.startswith(LIST_MARK):
        for line in read_list(where[len(LIST_MARK) :]):
            many = not is_http(line) and (line.endswith("/") or "*" in line)
            yield from expand_location(line) if many else [line]
    else:
        yield from expand_location(where)


def expand_location(where: str) -> Iterator[str]:
    """Yields the URIs of a folder, a glob, an image or a URL; itself where nothing is found."""
    if is_http(where) or _is_file(where):
        yield where
        return
    found = False
    for path in _list_images(storage.plain_path(where)):
        found = True
        yield printable(path)
    if not found:
        yield where


def read_list(address: str) -> Iterator[str]:
    r"""Yields the lines of a list that hold a URI.

    A byte order mark, blank lines, lines that begin with `#`, and the spaces around a URI are
    left out. A byte that is not UTF-8 becomes `\xe9`, so that the line fails by itself.
    """
    with storage.open_read(address) as stream:
        for number, raw in enumerate(stream):
            raw = raw.removeprefix(codecs.BOM_UTF8) if number == 0 else raw
            line = raw.decode("utf-8", "backslashreplace").strip()
            if line and not line.startswith(COMMENT_MARK):
                yield line


class ListInputs(beam.PTransform[Any, Any]):
    """The command line's inputs -> PCollection[str]: distinct URIs, spread over the workers.

    Applied to a pipeline. With a limit only the first URIs in alphabetical order stay: the same
    ones each time.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        limit: int | None = None,
        progress: ProgressSender | None = None,
    ) -> None:
        """Keeps the inputs, the most URIs to give (None for all), and where to report."""
        super().__init__()
        self._inputs = list(inputs)
        self._limit = limit
        self._progress = progress or ProgressSender()

    def expand(self, begin: PBegin) -> PCollection[str]:
        """Lists the inputs inside the pipeline."""
        uris = (
            begin
            | "Inputs" >> beam.Create(self._inputs, reshuffle=True)
            | "List" >> beam.FlatMap(_expand_and_count).with_output_types(str)
            | "Distinct" >> beam.Distinct()
            | "CountDistinct" >> beam.Map(_count_distinct).with_output_types(str)
        )
        if self._limit is not None:
            uris = (
                uris
                | "First" >> combiners.Top.Smallest(self._limit)
                | "Unpack" >> beam.FlatMap(list).with_output_types(str)
            )
        spread: PCollection[str] = (
            uris
            | "CountSelected" >> beam.ParDo(_CountSelected(self._progress)).with_output_types(str)
            | "Spread" >> beam.Reshuffle()
        )
        return spread


class _CountSelected(beam.DoFn):
    """Counts what will be worked on; the display learns from it how much there is to do."""

    def __init__(self, progress: ProgressSender) -> None:
        self._progress = progress

    def process(self, uri: str) -> Iterable[str]:
        count(SELECTED)
        self._progress.add(total=1)
        yield uri

    def finish_bundle(self) -> None:
        self._progress.flush()


def _expand_and_count(where: str) -> Iterator[str]:
    for uri in expand_input(where):
        count(LISTED)
        yield uri


def _count_distinct(uri: str) -> str:
    count(DISTINCT)
    return uri


def _is_file(where: str) -> bool:
    path = storage.plain_path(where)
    return not path.endswith("/") and storage.exists(path) and not storage.is_local_folder(path)


def _is_glob(path: str) -> bool:
    return glob.has_magic(path) and not storage.is_local_folder(path)


def _list_images(path: str, limit: int | None = None) -> Iterator[str]:
    """Yields all a glob matches, or the images of a folder."""
    if _is_glob(path):
        yield from (found.path for found in storage.list_pattern(path, limit))
        return
    for found in storage.list_folder(path, limit):
        if _is_image(found.path):
            yield found.path


def _is_image(path: str) -> bool:
    return path.lower().endswith(IMAGE_EXTENSIONS)


def _names_something(where: str) -> bool:
    if where.startswith(LIST_MARK):
        return _is_file(where[len(LIST_MARK) :])
    path = storage.plain_path(where)
    # An image that is named is an input: where it is missing, its row says so.
    if is_http(where) or _is_file(where) or (_is_image(path) and not _is_glob(path)):
        return True
    if any(True for _ in _list_images(path, CHECKED_FILES)):
        return True
    # A folder that begins with very many other files is not searched to its end here.
    return not _is_glob(path) and sum(1 for _ in storage.list_folder(path, CHECKED_FILES)) == (
        CHECKED_FILES
    )


def _what_is_missing(where: str) -> str:
    if where.startswith(LIST_MARK):
        return "there is no such list; after @ comes a text file with one image a line"
    path = storage.plain_path(where)
    if _is_glob(path):
        return "nothing matches; put the pattern in quotes, and use ** to search subfolders"
    if storage.is_local_folder(path):
        return f"the folder holds no image ({', '.join(IMAGE_EXTENSIONS)})"
    return "there is no such folder or file"
