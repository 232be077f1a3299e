"""Caption text to words: what is lower-cased, what ends a word, what vanishes.

Takes a caption as people wrote it; returns its words. Assumes words separated by spaces.
"""

import re
import unicodedata

from model_lib.config import Standardization

_APOSTROPHES = "'\u2018\u2019\u201b\u2032\u02bc\uff07`\u00b4"
_HYPHENS = "-\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"
_ZERO_WIDTH_SPACE = "\u200b"
_WORD = re.compile(r"[^ '-]+(?:['-][^ '-]+)*")
# The notebook's characters; its ",-/" is a range and means , - . and /.
_COURSE_PUNCTUATION = re.compile(rb"[!\"#$%&()*+,\-./:;=?@\[\\\]^_`{|}~]")
_MARK = re.compile("<(?:pad|unk|start|end)>")


class _CharacterTable(dict[int, str]):
    """A `str.translate` table that works out each character when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = _plain_character(chr(code))
        return self[code]


def _plain_character(character: str) -> str:
    """Maps a character to itself, to "'", to "-", to nothing or to a space."""
    if character in _APOSTROPHES:
        return "'"
    if character in _HYPHENS:
        return "-"
    category = unicodedata.category(character)
    if category[0] in "LMN":  # letters, the marks that belong to them, numbers
        return character
    is_invisible = category == "Cf" and character != _ZERO_WIDTH_SPACE
    return "" if is_invisible else " "


_CHARACTERS = _CharacterTable()


def standardize(caption: str, standardization: Standardization = "words") -> list[str]:
    """Splits a caption into lower-case words without punctuation.

    By `words`:

    "A man's T\u2011shirt, left/right!" -> ["a", "man's", "t-shirt", "left", "right"]
    "<start> 2 dogs -- 'running'" -> ["start", "2", "dogs", "running"]
    "CAF\u00c9_No.3" -> ["caf\u00e9", "no", "3"]

    Letters, marks and numbers of all scripts are kept, in Unicode's composed form (NFC). One
    hyphen or apostrophe between two of them stays; typographic ones become "-" and "'". Anything
    else ends a word, except invisible formatting characters such as the soft hyphen, which vanish.
    Standardising the words again, joined by spaces, changes nothing.

    By `course`, as the notebook of Google's course does:

    "A man's T-shirt, left/right!" -> ["a", "man's", "tshirt", "leftright"]
    "2 dogs -- 'running'" -> ["2", "dogs", "'running'"]
    "CAF\u00c9_No.3" -> ["caf\u00c9no3"]

    Its punctuation vanishes without ending a word; apostrophes and other characters stay, and
    only A to Z become lower case. Words that are marks such as `<start>`, which the notebook
    would take as such, are left out.

    Args:
        caption: any text.
        standardization: `words` or `course`.

    Returns:
        The words; empty if the caption has none.
    """
    if standardization == "course":
        return _words_of_the_course(caption)
    lowered = unicodedata.normalize("NFC", caption).lower()
    plain = unicodedata.normalize("NFC", lowered.translate(_CHARACTERS))
    return _WORD.findall(plain)


def _words_of_the_course(caption: str) -> list[str]:
    # `bytes.lower`, as `tf.strings.lower` without an encoding, leaves all but ASCII alone.
    lowered = caption.encode("utf-8", "surrogatepass").lower()
    kept = _COURSE_PUNCTUATION.sub(b"", lowered).decode("utf-8", "surrogatepass")
    return [word for word in kept.split() if not _MARK.fullmatch(word)]
