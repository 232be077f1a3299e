"""Where everything stands in the picture of an explanation.

Takes the number of words, the caption and the photo's size; gives places in pixels. The photo
stands at the left, as large as two rows of two panels, its caption under it; the words follow in
reading order, row by row.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Literal

from beam_jobs.explaining.fonts import wrapped
from model_lib.errors import ConfigError

Heat = Literal["contributions", "weights"]
# Columns and rows of panels whose place the photo takes.
PHOTO_PANELS = 2
# A photo that is higher than this times its width gets narrower panels.
_HIGHEST = 1.5
_SMALLEST_LETTERS = 10
_LINE = 1.35  # height of a line of text, in sizes of its letters


@dataclasses.dataclass(frozen=True)
class PictureConfig:
    """How large things are; lengths in pixels.

    Attributes:
        panel_width: of one word's panel, 60 or more.
        max_columns: panels beside each other, the photo's two among them; 3 or more.
        heat: what colours show, a field of `model_lib.attention.Explanation`.
    """

    panel_width: int = 240
    max_columns: int = 5
    heat: Heat = "contributions"

    def __post_init__(self) -> None:
        """Validates; raises `ConfigError`."""
        if self.panel_width < 60 or self.max_columns <= PHOTO_PANELS:
            raise ConfigError(
                f"panels of {self.panel_width} pixels in {self.max_columns} columns; expected at "
                f"least 60 and {PHOTO_PANELS + 1}"
            )

    @property
    def gap(self) -> int:
        """Between panels."""
        return self.panel_width // 15

    @property
    def letters(self) -> int:
        """Size of a word's letters."""
        return max(self.panel_width // 13, _SMALLEST_LETTERS + 2)

    @property
    def small_letters(self) -> int:
        """Size of the letters of numbers and of the legend."""
        return max(round(0.8 * self.letters), _SMALLEST_LETTERS)

    @property
    def line(self) -> int:
        """Height of a line of words."""
        return round(_LINE * self.letters)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Places and sizes, in pixels.

    Attributes:
        size: (width, height) of the picture.
        margin: around everything.
        panel: (width, height) of the photo in a word's panel.
        cell: (width, height) from one panel to the next; its line of text is above the photo.
        photo: (width, height) of the large photo.
        caption: the lines under it.
        caption_letters: size of their letters.
        words: left upper corner of each word's cell.
    """

    size: tuple[int, int]
    margin: int
    panel: tuple[int, int]
    cell: tuple[int, int]
    photo: tuple[int, int]
    caption: tuple[str, ...]
    caption_letters: int
    words: tuple[tuple[int, int], ...]

    @property
    def caption_line(self) -> int:
        """Height of a line of the caption."""
        return round(_LINE * self.caption_letters)


def lay_out(caption: str, words: int, photo: tuple[int, int], config: PictureConfig) -> Layout:
    """Finds a place for everything.

    Args:
        caption: text under the photo.
        words: number of panels.
        photo: (width, height) of the original.
        config: how large things are.
    """
    wide, gap, margin = config.panel_width, config.gap, 2 * config.gap
    panel = _fitted(photo, wide, round(_HIGHEST * wide))
    cell = (wide + gap, config.line + panel[1] + gap)
    columns = min(PHOTO_PANELS + math.ceil(words / PHOTO_PANELS), config.max_columns)
    beside = PHOTO_PANELS * (columns - PHOTO_PANELS)
    rows = PHOTO_PANELS + math.ceil(max(words - beside, 0) / columns)
    block = (PHOTO_PANELS * cell[0] - gap, PHOTO_PANELS * cell[1] - gap)
    lines, letters = _caption_lines(caption, block[0], config)
    # The photo's first line is level with the panels' photos, and under it is the caption.
    under = gap // 2 + round(_LINE * letters) * len(lines)
    room = max(block[1] - config.line - under, block[1] // 2)
    free = (
        (margin + column * cell[0], margin + row * cell[1])
        for row in range(rows)
        for column in range(columns)
        if column >= PHOTO_PANELS or row >= PHOTO_PANELS
    )
    return Layout(
        size=(
            2 * margin + columns * cell[0] - gap,
            2 * margin + rows * cell[1] + config.line,
        ),
        margin=margin,
        panel=panel,
        cell=cell,
        photo=_fitted(photo, block[0], room),
        caption=lines,
        caption_letters=letters,
        words=tuple(_first(free, words)),
    )


def _first(places: Iterator[tuple[int, int]], count: int) -> Iterator[tuple[int, int]]:
    for _, place in zip(range(count), places, strict=False):
        yield place


def _caption_lines(text: str, width: int, config: PictureConfig) -> tuple[tuple[str, ...], int]:
    """Returns the caption in two lines, with the largest letters that allow it, else in more."""
    largest = round(1.2 * config.letters)
    for letters in range(largest, _SMALLEST_LETTERS, -1):
        lines = wrapped(text, letters, width)
        if len(lines) <= PHOTO_PANELS:
            return lines, letters
    return wrapped(text, _SMALLEST_LETTERS, width), _SMALLEST_LETTERS


def _fitted(photo: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Returns the largest (width, height) with the photo's aspect within limits."""
    scale = min(width / photo[0], height / photo[1])
    return max(round(photo[0] * scale), 1), max(round(photo[1] * scale), 1)
