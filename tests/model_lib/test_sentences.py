import pytest

from model_lib.sentences import as_sentence


@pytest.mark.parametrize(
    ("caption", "sentence"),
    [
        ("a dog runs on the grass", "A dog runs on the grass."),
        ("a man 's dog runs", "A man's dog runs."),
        ("a man's dog", "A man's dog."),
        ("'s", "'s."),
        ("i see what i'm told", "I see what I'm told."),
        ("2 dogs", "2 dogs."),
        ("élan vital", "Élan vital."),
        ("ßtraße", "SStraße."),
        ("A Title Already.", "A Title Already."),
        ("  spaces   between ", "Spaces between."),
        ("", ""),
    ],
)
def test_as_sentence(caption: str, sentence: str) -> None:
    assert as_sentence(caption) == sentence


def test_a_sentence_stays_a_sentence() -> None:
    once = as_sentence("two dogs and i run")
    assert as_sentence(once) == once
