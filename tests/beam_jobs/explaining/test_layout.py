import pytest

from beam_jobs.explaining.layout import PictureConfig, lay_out
from model_lib.errors import ConfigError

CAPTION = "a black and white dog is running through the grass"
CONFIG = PictureConfig(panel_width=150, max_columns=5)


def cells(words: int, photo: tuple[int, int] = (300, 200)) -> list[tuple[int, int]]:
    """Column and row of each word's cell."""
    layout = lay_out(CAPTION, words, photo, CONFIG)
    places = [((x - layout.margin), (y - layout.margin)) for x, y in layout.words]
    assert all(x % layout.cell[0] == y % layout.cell[1] == 0 for x, y in places)
    return [(x // layout.cell[0], y // layout.cell[1]) for x, y in places]


def test_words_stand_beside_the_photo_then_under_it():
    assert cells(10) == [
        *[(column, 0) for column in (2, 3, 4)],
        *[(column, 1) for column in (2, 3, 4)],
        *[(column, 2) for column in (0, 1, 2, 3)],
    ]


@pytest.mark.parametrize(
    ("words", "columns", "rows"),
    [(0, 2, 2), (1, 3, 2), (4, 4, 2), (6, 5, 2), (7, 5, 3), (30, 5, 7)],
)
def test_the_picture_is_as_large_as_it_must_be(words, columns, rows):
    layout = lay_out(CAPTION, words, (300, 200), CONFIG)
    # A line of 16 pixels above each panel of 150 x 100, 10 pixels between, 20 around.
    assert layout.panel == (150, 100)
    assert layout.cell == (160, 100 + 16 + 10)
    assert layout.size == (2 * 20 + 160 * columns - 10, 2 * 20 + 126 * rows + 16)
    assert len(layout.words) == len(set(layout.words)) == words


@pytest.mark.parametrize("photo", [(300, 200), (200, 300), (100, 3000), (3000, 100), (8, 8)])
def test_nothing_overlaps(photo):
    layout = lay_out(CAPTION, 9, photo, CONFIG)
    under = (
        layout.margin + CONFIG.line + layout.photo[1] + len(layout.caption) * layout.caption_line
    )
    below = [y for x, y in layout.words if x < layout.margin + 2 * layout.cell[0]]
    assert under <= min(below) + CONFIG.line or photo == (3000, 100)
    assert layout.photo[0] <= 2 * layout.cell[0] - CONFIG.gap
    aspect = layout.photo[0] / layout.photo[1]
    assert aspect == pytest.approx(photo[0] / photo[1], rel=0.3)
    for x, y in layout.words:
        assert x + layout.panel[0] <= layout.size[0] - layout.margin
        assert y + CONFIG.line + layout.panel[1] <= layout.size[1] - layout.margin


def test_a_long_caption_has_smaller_letters_and_then_more_lines():
    letters = [lay_out(f"{CAPTION} " * n, 9, (3, 2), CONFIG).caption_letters for n in (1, 9)]
    assert letters == [14, 10]
    lines = lay_out(f"{CAPTION} " * 9, 9, (3, 2), CONFIG).caption
    assert len(lines) > 2
    assert " ".join(lines).split() == f"{CAPTION} ".split() * 9


@pytest.mark.parametrize("settings", [{"panel_width": 59}, {"max_columns": 2}])
def test_sizes_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match="expected at least 60 and 3"):
        PictureConfig(**settings)
