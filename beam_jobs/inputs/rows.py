"""One row of the job's input: what names the image, and what is carried along with it.

Every source gives `InputRow`s. A row that is no good (no URI, not UTF-8, torn) is one too: it
carries its problem and becomes a failure row instead of being read.
"""

from typing import Any, NamedTuple


class Span(NamedTuple):
    """Where an image lies inside an archive: the archive's address, first byte, and length."""

    address: str
    offset_bytes: int
    num_bytes: int


class Problem(NamedTuple):
    """Why an input row cannot be read: the class name for `error_type`, and what is wrong."""

    error_type: str
    message: str


class InputRow(NamedTuple):
    """One input of the job.

    Attributes:
        uri: the image, as given; for a row without one, where the row is: `table.csv#row=17`.
        carried: values of the job's carried columns, in their order; empty where there are none.
        position: number of the input on the command line, and of the row in it, from 0. Of
            equal URIs the smallest position stays.
        span: where the bytes are, for an image inside an archive.
        problem: why the row cannot be read; None for a good row.
    """

    uri: str
    carried: tuple[Any, ...] = ()
    position: tuple[int, int] = (0, 0)
    span: Span | None = None
    problem: Problem | None = None
