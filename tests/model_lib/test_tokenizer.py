import dataclasses
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_lib.errors import ConfigError, VocabularyError
from model_lib.tokenizer import (
    END_ID,
    PAD_ID,
    SPECIAL_WORDS,
    START_ID,
    UNKNOWN_ID,
    Tokenizer,
    standardize,
)

SMALL = Tokenizer((*SPECIAL_WORDS, "a", "dog", "t-shirt", "man's"))

word_texts = st.lists(st.sampled_from(SMALL.words[4:])).map(" ".join)


def test_vocabulary_is_by_count_then_alphabet() -> None:
    captions = ["A dog and a cat.", "a cat", "The dog, the cat", "zebra"]
    words = Tokenizer.from_captions(captions).words
    assert words == (*SPECIAL_WORDS, "a", "cat", "dog", "the", "and", "zebra")


def test_the_course_s_standardization_is_kept_and_used() -> None:
    captions = ["A t-shirt!", "<start> a t-shirt <end>"]
    tokenizer = Tokenizer.from_captions(captions, standardization="course")
    assert tokenizer.words[4:] == ("a", "tshirt")
    assert tokenizer.encode("A T-SHIRT", 5).tolist() == [2, 4, 5, 3, 0]
    again = Tokenizer.from_text(tokenizer.to_text(), "course")
    assert again == tokenizer
    assert Tokenizer.from_text(tokenizer.to_text()) != tokenizer


def test_vocabulary_limits() -> None:
    captions = ["A dog.", "a cat"]
    assert Tokenizer.from_captions(captions, max_vocabulary=6).words[4:] == ("a", "cat")
    assert Tokenizer.from_captions(captions, min_count=2).words[4:] == ("a",)
    assert len(Tokenizer.from_captions(captions, max_vocabulary=7)) == 7
    assert len(Tokenizer.from_captions(captions, max_vocabulary=20_000)) == 7


def test_captions_may_be_a_generator() -> None:
    assert Tokenizer.from_captions(text for text in ["b a", "b"]).words[4:] == ("b", "a")


@given(st.lists(st.text(alphabet="abc -'", min_size=1), min_size=1), st.randoms())
def test_vocabulary_does_not_depend_on_the_order_of_captions(captions, random) -> None:
    captions.append("a")
    shuffled = list(captions)
    random.shuffle(shuffled)
    assert Tokenizer.from_captions(captions) == Tokenizer.from_captions(shuffled)


def test_impossible_vocabularies_are_refused() -> None:
    with pytest.raises(ConfigError, match="max_vocabulary is 4; expected at least 5"):
        Tokenizer.from_captions(["a"], max_vocabulary=4)
    with pytest.raises(ConfigError, match="min_count is 0; expected at least 1"):
        Tokenizer.from_captions(["a"], min_count=0)
    for captions in ([], ["...", ""]):
        with pytest.raises(VocabularyError, match="has no words: give captions that have some"):
            Tokenizer.from_captions(captions)
    with pytest.raises(VocabularyError, match="has no words"):
        Tokenizer.from_captions(["a b"], min_count=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "begins with <pad> <unk> <start> <end>, this one with ''"),
        (("a", "dog"), "this one with 'a dog': make it with from_captions"),
        (("<pad>", "<start>", "<unk>", "<end>", "a"), "this one with '<pad> <start> <unk> <end>'"),
        ((*SPECIAL_WORDS, "a", "dog", "a"), "word 6, 'a', is already word 4"),
        ((*SPECIAL_WORDS, "a", "<unk>"), "word 5, '<unk>', is already word 1"),
        ((*SPECIAL_WORDS, "hot dog"), "word 4, 'hot dog', is empty or has white space"),
        ((*SPECIAL_WORDS, "a", ""), "word 5, '', is empty or has white space"),
        ((*SPECIAL_WORDS, "dog\r"), "lines end in \\\\n alone"),
        (SPECIAL_WORDS, "has no words"),
    ],
)
def test_wrong_words_are_named(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(VocabularyError, match=message):
        Tokenizer(words)


def test_text_form() -> None:
    text = "<pad>\n<unk>\n<start>\n<end>\na\ndog\nt-shirt\nman's\n"
    assert SMALL.to_text() == text
    assert Tokenizer.from_text(text) == SMALL


@pytest.mark.parametrize("text", ["", "<pad>\n<unk>\n<start>\n<end>\na"])
def test_text_without_its_last_newline_is_refused(text: str) -> None:
    with pytest.raises(VocabularyError, match="does not end with a newline"):
        Tokenizer.from_text(text)


def test_text_with_an_empty_line_is_refused() -> None:
    with pytest.raises(VocabularyError, match="word 8, '', is empty"):
        Tokenizer.from_text(SMALL.to_text() + "\n")


@given(st.lists(st.text(), min_size=1).map(" a ".join).map(lambda text: text + " a"))
def test_text_form_roundtrip(caption: str) -> None:
    tokenizer = Tokenizer.from_captions([caption])
    assert Tokenizer.from_text(tokenizer.to_text()) == tokenizer


@given(caption=st.text())
def test_file_roundtrip(tmp_path_factory: pytest.TempPathFactory, caption: str) -> None:
    path = tmp_path_factory.getbasetemp() / "vocabulary.txt"
    tokenizer = Tokenizer.from_captions([caption, "a"])
    tokenizer.save(str(path))
    assert Tokenizer.load(str(path)) == tokenizer
    assert path.read_bytes() == tokenizer.to_text().encode()


def test_unreadable_files_are_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "vocabulary.txt"
    with pytest.raises(
        VocabularyError, match=r"cannot load the vocabulary .*vocabulary\.txt: .*No"
    ):
        Tokenizer.load(str(path))
    path.write_bytes(SMALL.to_text().encode() + b"caf\xe9\n")
    with pytest.raises(VocabularyError, match=r"vocabulary\.txt: 'utf-8' codec"):
        Tokenizer.load(str(path))
    path.write_bytes(SMALL.to_text().replace("\n", "\r\n").encode())
    with pytest.raises(VocabularyError, match=r"vocabulary\.txt: a vocabulary begins with"):
        Tokenizer.load(str(path))


@pytest.mark.parametrize(
    ("caption", "length", "ids"),
    [
        ("A big dog!", 7, [2, 4, 1, 5, 3, 0, 0]),
        ("a dog", 4, [2, 4, 5, 3]),
        ("a dog a dog", 4, [2, 4, 5, 3]),
        ("a dog", 2, [2, 3]),
        ("", 4, [2, 3, 0, 0]),
        ("<end> a <pad>", 5, [2, 1, 4, 1, 3]),
        ("The man\u2019s T-SHIRT", 5, [2, 1, 7, 6, 3]),
    ],
)
def test_encode(caption: str, length: int, ids: list[int]) -> None:
    encoded = SMALL.encode(caption, length)
    assert encoded.tolist() == ids
    assert encoded.dtype == np.int32


def test_encode_batch() -> None:
    batch = SMALL.encode_batch(["a dog", "", "a cat"], 5)
    assert batch.tolist() == [[2, 4, 5, 3, 0], [2, 3, 0, 0, 0], [2, 4, 1, 3, 0]]
    assert batch.dtype == np.int32
    empty = SMALL.encode_batch([], 5)
    assert (empty.shape, empty.dtype) == ((0, 5), np.int32)


def test_a_length_without_room_for_the_marks_is_refused() -> None:
    with pytest.raises(ConfigError, match="length is 1; expected at least 2"):
        SMALL.encode("a", 1)


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([2, 4, 1, 5, 3, 5], "a dog"),
        ([4, 5], "a dog"),
        ([0, 2, 6, 0, 7, 1], "t-shirt man's"),
        ([3, 4], ""),
        ([], ""),
        (np.array([2, 4, 3, 0], np.int32), "a"),
    ],
)
def test_decode(ids: list[int], text: str) -> None:
    assert SMALL.decode(ids) == text


@pytest.mark.parametrize("word_id", [-1, 8])
def test_an_id_of_another_vocabulary_is_refused(word_id: int) -> None:
    with pytest.raises(VocabularyError, match=f"id {word_id} is not in the vocabulary of 8 words"):
        SMALL.decode([2, word_id])


@given(word_texts)
def test_decoding_gives_back_known_words(caption: str) -> None:
    length = len(caption.split()) + 2
    assert SMALL.decode(SMALL.encode(caption, length)) == " ".join(standardize(caption))


@given(st.text())
def test_a_vocabulary_gives_back_the_captions_it_was_made_of(caption: str) -> None:
    tokenizer = Tokenizer.from_captions([caption, "a"])
    words = standardize(caption)
    assert tokenizer.decode(tokenizer.encode(caption, len(words) + 2)) == " ".join(words)


@given(st.text(), st.integers(2, 12))
def test_encoded_captions_have_one_start_one_end_and_then_padding(text: str, length: int) -> None:
    ids = SMALL.encode(text, length).tolist()
    end = ids.index(END_ID)
    assert len(ids) == length
    assert ids[0] == START_ID
    assert all(word_id == UNKNOWN_ID or word_id >= 4 for word_id in ids[1:end])
    assert all(word_id == PAD_ID for word_id in ids[end + 1 :])


def test_a_tokenizer_compares_by_content_and_cannot_be_changed() -> None:
    assert Tokenizer(SMALL.words) == SMALL
    assert hash(Tokenizer(SMALL.words)) == hash(SMALL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        SMALL.words = ()
