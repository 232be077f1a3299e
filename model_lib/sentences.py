"""A caption's words as a sentence that a person would write.

Takes what the captioner gives, lower-case words joined by spaces; returns text with a capital
letter first and a full stop last. Names stay as they are: the vocabulary has no capitals.
"""

_PRONOUN_FORMS = {"i": "I", "i'm": "I'm", "i've": "I've", "i'll": "I'll", "i'd": "I'd"}


def as_sentence(caption: str) -> str:
    """Returns a caption as a sentence.

    "a man 's dog runs" -> "A man's dog runs."
    "i think it's two dogs" -> "I think it's two dogs."
    "" -> ""

    Args:
        caption: words joined by spaces; a possessive that became a word of its own is joined to
            the word before it.
    """
    words: list[str] = []
    for word in caption.split():
        if word == "'s" and words:
            words[-1] += word
        else:
            words.append(_PRONOUN_FORMS.get(word, word))
    if not words:
        return ""
    text = " ".join(words)
    ending = "" if text[-1] in ".!?" else "."
    # Not `capitalize`, which would take the capitals off the other words.
    return text[0].upper() + text[1:] + ending
