"""Letters for pictures, on machines with and without fonts of their own.

Takes text and a size; gives a font that has its letters where one is found, and lines that fit a
width. Pillow brings a font with Latin letters; words in other scripts need one that is installed.
"""

import functools

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
# Of what Linux, macOS and Windows have, those with many scripts.
_WITH_MANY_SCRIPTS = ("NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "DejaVuSans.ttf", "arial.ttf")
_LAST_LATIN_LETTER = "\u00ff"


def font_for(text: str, size: int) -> Font:
    """Returns a font for a text.

    Args:
        text: what is written with it.
        size: of the letters in pixels.
    """
    return _font(max(text, default=" ") > _LAST_LATIN_LETTER, size)


def width_of(text: str, size: int) -> int:
    """Returns how wide a line of text is, in pixels."""
    return round(font_for(text, size).getlength(text))


def shortened(text: str, size: int, width: int) -> str:
    """Returns a line of text, its end cut off where it is wider than `width` pixels."""
    if width_of(text, size) <= width:
        return text
    while text and width_of(f"{text}...", size) > width:
        text = text[:-1]
    return f"{text.rstrip()}..."


def wrapped(text: str, size: int, width: int) -> tuple[str, ...]:
    """Returns a text as lines of at most `width` pixels; a longer word is shortened."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(joined, size) <= width:
            lines[-1] = joined
        else:
            lines.append(shortened(word, size, width))
    return tuple(lines)


@functools.lru_cache(maxsize=64)
def _font(many_scripts: bool, size: int) -> Font:
    for name in _WITH_MANY_SCRIPTS if many_scripts else ():
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
