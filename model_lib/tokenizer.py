"""Caption text to word ids and back, over a vocabulary that is saved as plain text.

Takes captions as people wrote them; returns int32 ids. Ids 0 to 3 are `<pad>`, `<unk>`, `<start>`
and `<end>`, written with angle brackets that no standardised word can contain, so no caption can
smuggle one in. Assumes words separated by spaces: Chinese, Japanese or Thai captions would have to
be split into words first.

The text form of a vocabulary: one word a line, line number (from 0) = id, UTF-8, a newline after
every word.
"""

import collections
import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import numpy as np
import numpy.typing as npt

from model_lib.config import Standardization
from model_lib.errors import ConfigError, VocabularyError
from model_lib.standardization import standardize

__all__ = [
    "END_ID",
    "PAD_ID",
    "SPECIAL_WORDS",
    "START_ID",
    "UNKNOWN_ID",
    "Tokenizer",
    "standardize",
]

PAD_ID = 0
UNKNOWN_ID = 1
START_ID = 2
END_ID = 3
SPECIAL_WORDS = ("<pad>", "<unk>", "<start>", "<end>")


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """A vocabulary, and the way between captions and ids.

    Attributes:
        words: word of each id; the first four are `SPECIAL_WORDS`.
        standardization: how `encode` makes words of a caption, see `model_lib.standardization`;
            not part of the text form, a bundle keeps it among the settings of its model.
    """

    words: tuple[str, ...]
    standardization: Standardization = "words"

    def __post_init__(self) -> None:
        """Validates; raises `VocabularyError`."""
        if self.words[: len(SPECIAL_WORDS)] != SPECIAL_WORDS:
            raise VocabularyError(
                f"a vocabulary begins with {' '.join(SPECIAL_WORDS)}, this one with "
                f"{' '.join(self.words[: len(SPECIAL_WORDS)])!r}: make it with from_captions"
            )
        if len(self.words) == len(SPECIAL_WORDS):
            raise VocabularyError("the vocabulary has no words: give captions that have some")
        first_ids: dict[str, int] = {}
        for word_id, word in enumerate(self.words):
            if not word or any(map(str.isspace, word)):
                raise VocabularyError(
                    f"word {word_id}, {word!r}, is empty or has white space: one word a line, and "
                    "lines end in \\n alone"
                )
            if first_ids.setdefault(word, word_id) != word_id:
                raise VocabularyError(
                    f"word {word_id}, {word!r}, is already word {first_ids[word]}: remove one and "
                    "train again"
                )

    @classmethod
    def from_captions(
        cls,
        captions: Iterable[str],
        max_vocabulary: int = 20_000,
        min_count: int = 1,
        standardization: Standardization = "words",
    ) -> "Tokenizer":
        """Makes a vocabulary of the captions' commonest words.

        Words are ordered by count, the commonest first, and alphabetically (by code point) where
        counts are equal, so the order of the captions does not matter:
        ["A dog.", "a cat"] -> `<pad> <unk> <start> <end> a cat dog`; with `max_vocabulary=6`
        `<pad> <unk> <start> <end> a cat`; with `min_count=2` `<pad> <unk> <start> <end> a`.

        Args:
            captions: texts as written; read once.
            max_vocabulary: most ids, the four special ones included.
            min_count: how often a word must occur to be kept.
            standardization: how words are made of a caption.

        Returns:
            The tokenizer.

        Raises:
            ConfigError: if `max_vocabulary` is below 5 or `min_count` below 1.
            VocabularyError: if no word is left.
        """
        if max_vocabulary <= len(SPECIAL_WORDS):
            raise ConfigError(f"max_vocabulary is {max_vocabulary}; expected at least 5")
        if min_count < 1:
            raise ConfigError(f"min_count is {min_count}; expected at least 1")
        counts: collections.Counter[str] = collections.Counter()
        for caption in captions:
            counts.update(standardize(caption, standardization))
        common = [word for word, count in counts.items() if count >= min_count]
        common.sort(key=lambda word: (-counts[word], word))
        kept = tuple(common[: max_vocabulary - len(SPECIAL_WORDS)])
        return cls(SPECIAL_WORDS + kept, standardization)

    @classmethod
    def from_text(cls, text: str, standardization: Standardization = "words") -> "Tokenizer":
        r"""Reads the text form: "<pad>\n<unk>\n<start>\n<end>\na\n" has 5 words.

        Args:
            text: what `to_text` gave.
            standardization: the one that the vocabulary was made with.

        Returns:
            The tokenizer.

        Raises:
            VocabularyError: if the text is no vocabulary.
        """
        if not text.endswith("\n"):
            raise VocabularyError(
                "the vocabulary does not end with a newline: it is empty or cut short; restore it"
            )
        return cls(tuple(text[:-1].split("\n")), standardization)

    @classmethod
    def load(cls, path: str) -> "Tokenizer":
        """Reads a vocabulary file.

        Args:
            path: of a local file.

        Returns:
            The tokenizer.

        Raises:
            VocabularyError: if the file cannot be read or is no vocabulary.
        """
        try:
            return cls.from_text(pathlib.Path(path).read_bytes().decode("utf-8"))
        except (OSError, UnicodeDecodeError, VocabularyError) as error:
            raise VocabularyError(f"cannot load the vocabulary {path}: {error}") from error

    def to_text(self) -> str:
        r"""Returns the text form: every word followed by "\n"."""
        return "".join(word + "\n" for word in self.words)

    def save(self, path: str) -> None:
        """Writes the text form as UTF-8.

        Args:
            path: of a local file, overwritten if it is there.
        """
        pathlib.Path(path).write_bytes(self.to_text().encode("utf-8"))

    def __len__(self) -> int:
        """Returns the number of ids, the special ones included."""
        return len(self.words)

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {word: word_id for word_id, word in enumerate(self.words)}

    def encode(self, caption: str, length: int) -> npt.NDArray[np.int32]:
        """Turns a caption into ids.

        With words `a`=4, `dog`=5: encode("A big dog!", 7) -> [2, 4, 1, 5, 3, 0, 0]. A longer
        caption loses its last words, never its `<end>`: encode("a dog a dog", 4) -> [2, 4, 5, 3].

        Args:
            caption: text as written.
            length: of the result, `<start>` and `<end>` included; at least 2.

        Returns:
            int32 [length]: `<start>`, the words' ids, `<end>`, padding.

        Raises:
            ConfigError: if `length` is below 2.
        """
        if length < 2:
            raise ConfigError(f"length is {length}; expected at least 2, for <start> and <end>")
        words = standardize(caption, self.standardization)[: length - 2]
        ids = [START_ID, *(self._ids.get(word, UNKNOWN_ID) for word in words), END_ID]
        encoded = np.full(length, PAD_ID, np.int32)
        encoded[: len(ids)] = ids
        return encoded

    def encode_batch(self, captions: Sequence[str], length: int) -> npt.NDArray[np.int32]:
        """Turns N captions into ids, each as `encode` does.

        Args:
            captions: texts as written.
            length: of each row; at least 2.

        Returns:
            int32 [N,length]; [0,length] for no captions.

        Raises:
            ConfigError: if `length` is below 2.
        """
        rows = [self.encode(caption, length) for caption in captions]
        return np.stack(rows) if rows else np.empty((0, length), np.int32)

    def decode(self, ids: Iterable[SupportsIndex]) -> str:
        """Turns ids into text: [2, 4, 1, 5, 3, 5] -> "a dog".

        Args:
            ids: of one caption; what follows the first `<end>` is ignored, other special ids are
                left out.

        Returns:
            The words, joined by spaces.

        Raises:
            VocabularyError: for an id that the vocabulary does not have.
        """
        words = []
        for word_id in map(int, ids):
            if not 0 <= word_id < len(self.words):
                raise VocabularyError(
                    f"id {word_id} is not in the vocabulary of {len(self.words)} words: the ids "
                    "come from another one"
                )
            if word_id == END_ID:
                break
            if word_id >= len(SPECIAL_WORDS):
                words.append(self.words[word_id])
        return " ".join(words)
