"""Captions to words: our way, and the way of the course's notebook, run as it stands there."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from model_lib.standardization import standardize
from model_lib.tokenizer import SPECIAL_WORDS


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A dog runs.", ["a", "dog", "runs"]),
        ("A man's t-shirt!", ["a", "man's", "t-shirt"]),
        ("a left/right turn", ["a", "left", "right", "turn"]),
        ("left_right;up|down\\in\tout\nend", ["left", "right", "up", "down", "in", "out", "end"]),
        ("The man\u2019s T\u2011shirt", ["the", "man's", "t-shirt"]),
        ("it\u00b4s o`clock \u2018quoted\u2019", ["it's", "o'clock", "quoted"]),
        ("black\u2013white dog\u2014running", ["black-white", "dog", "running"]),
        ("'tis the dogs' - really -- \"fun\"", ["tis", "the", "dogs", "really", "fun"]),
        ("rock'n'roll mother-in-law a--b a-'b", ["rock'n'roll", "mother-in-law", *"abab"]),
        ("<start> a dog <end> <pad> <unk>", ["start", "a", "dog", "end", "pad", "unk"]),
        ("2 dogs, no. 35", ["2", "dogs", "no", "35"]),
        ("A CAFE\u0301 in \u00c5re", ["a", "caf\u00e9", "in", "\u00e5re"]),
        ("\u0421\u043e\u0431\u0430\u043a\u0430!", ["\u0441\u043e\u0431\u0430\u043a\u0430"]),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", ["\u0939\u093f\u0928\u094d\u0926\u0940"]),
        ("soft\u00adhyphen zero\u200bwidth", ["softhyphen", "zero", "width"]),
        ("a dog \U0001f436", ["a", "dog"]),
        ("\ufeffdog.the cat", ["dog", "the", "cat"]),
        ("", []),
        ("- ' . !", []),
    ],
)
def test_standardize(caption: str, words: list[str]) -> None:
    assert standardize(caption) == words


@given(st.text())
def test_standardize_is_idempotent_and_makes_clean_words(caption: str) -> None:
    words = standardize(caption)
    assert standardize(" ".join(words)) == words
    for word in words:
        assert word
        assert not any(map(str.isspace, word))
        assert word not in SPECIAL_WORDS


@given(st.text(), st.text())
def test_white_space_separates(left: str, right: str) -> None:
    assert standardize(f"{left} \n {right}") == standardize(left) + standardize(right)


def words_of_the_notebook(caption: str) -> list[str]:
    """Its `standardize`, then the split of `keras.layers.TextVectorization`."""
    lowered = tf.strings.lower(caption)
    cleaned = tf.strings.regex_replace(lowered, r"[!\"#$%&\(\)\*\+.,-/:;=?@\[\\\]^_`{|}~]?", "")
    return [word.decode() for word in tf.strings.split(cleaned).numpy()]


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A man's T-shirt, left/right!", ["a", "man's", "tshirt", "leftright"]),
        ("2 dogs -- 'running'", ["2", "dogs", "'running'"]),
        ("CAF\u00c9_No.3", ["caf\u00c9no3"]),
        ("a <b> c", ["a", "<b>", "c"]),
        ("", []),
    ],
)
def test_the_course_s_way(caption: str, words: list[str]) -> None:
    assert standardize(caption, "course") == words_of_the_notebook(caption) == words


@settings(max_examples=50)
@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_characters="<>\xa0\x85"))
)
def test_the_course_s_way_is_the_notebook_s(caption: str) -> None:
    assert standardize(caption, "course") == words_of_the_notebook(caption)


def test_the_course_s_way_lets_no_mark_in() -> None:
    assert standardize("<start> a <e-nd> dog <pad> <unk>", "course") == ["a", "dog"]
    assert standardize("a\u00a0dog", "course") == ["a", "dog"]
