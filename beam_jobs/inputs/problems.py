"""Errors of single input rows, and how one is told from a storage that fails.

A reader raises or yields them; `problem` makes of each what an `InputRow` carries. Their class
names are what column `error_type` of the failures says.
"""

import contextlib
import gzip
import struct
import tarfile
import zlib
from collections.abc import Iterator

import pyarrow as pa

from beam_jobs.inputs.rows import Problem
from beam_jobs.records import MAX_MESSAGE_CHARS, printable
from model_lib.errors import CaptioningError, ConfigError


class RowError(CaptioningError):
    """Base of what can be wrong with one row of an input."""


class MissingUriError(RowError):
    """The row names no image: null, empty, or blank."""


class NotUtf8Error(RowError):
    """A value that is needed is not UTF-8 text."""


class BadRowError(RowError):
    """The row cannot be taken apart, or a value does not fit its carried column's type."""


class DamagedInputError(RowError):
    """The file is torn or damaged from here on; its other rows are lost."""


# How gzip, tar and Parquet readers say that bytes are not what they should be.
_DAMAGE = (
    RowError,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    tarfile.TarError,
    struct.error,
    ValueError,
    OverflowError,
    IndexError,
    pa.ArrowException,
)


def problem(error: RowError) -> Problem:
    """Returns what an input row carries in place of an image."""
    return Problem(type(error).__name__, printable(str(error))[:MAX_MESSAGE_CHARS])


def is_damage(error: BaseException) -> bool:
    """Tells whether a file's content is at fault, rather than the storage that it lies on.

    Damage costs the rest of one file. A storage that fails must stop the run instead: with a
    part of the input unseen it would end as if all were done.
    """
    if isinstance(error, ConfigError):
        return False
    if isinstance(error, _DAMAGE):
        return True
    # Arrow reports damaged pages so; errors of an operating system have a number.
    return type(error) is OSError and error.errno is None


@contextlib.contextmanager
def passing_over_damage() -> Iterator[None]:
    """Ends what reads a file where the file is damaged; a storage that fails raises.

    For a first look: what is damaged becomes failure rows when it is read in the pipeline.
    """
    try:
        yield
    except Exception as error:
        if not is_damage(error):
            raise


def damaged(error: BaseException) -> RowError:
    """Returns the error of the row that stands for the rest of a damaged file."""
    if isinstance(error, RowError):
        return error
    text = str(error) or repr(error)
    return DamagedInputError(f"nothing can be read from here on: {type(error).__name__}: {text}")
