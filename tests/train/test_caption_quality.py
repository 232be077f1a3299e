import pytest

from train.caption_quality import defects, diversity, repeats_itself, score_meaning
from train.predictions import Prediction


def prediction(
    caption: str, *, name: str = "a.jpg", score: float = -1.0, finished: bool = True, more=()
) -> Prediction:
    candidates = tuple({"caption": text, "log_prob": -1.0, "score": -1.0} for text in more)
    first = {"caption": caption, "log_prob": -1.0, "score": score}
    return Prediction(name, caption, score, (first, *candidates), finished)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a man in a man in a hat", True),
        ("a dog dog runs", True),
        ("a dog runs through a dog runs through the grass", True),
        ("a red ball and then later on a red ball", True),
        ("a man and a woman in a park", False),
        ("a dog runs with a dog", False),
        ("", False),
        ("dog", False),
    ],
)
def test_repeats_itself(caption, expected):
    assert repeats_itself(caption) is expected


def test_defects_are_shares():
    found = defects(
        [
            prediction("a dog runs"),
            prediction("a dog dog <unk>"),
            prediction("a dog in the", finished=False),
            prediction("", finished=False),
        ]
    )
    assert found == {
        "empty": 0.25,
        "repeated": 0.25,
        "unknown_word": 0.25,
        "unfinished": 0.5,
        "any": 0.75,
    }


def test_scores_that_mean_something():
    names = [f"{number}.jpg" for number in range(4)]
    predictions = [
        prediction("x", name=name, score=score)
        for name, score in zip(names, (-1.0, -4.0, -2.0, -3.0), strict=True)
    ]
    cider = dict(zip(names, (0.9, 0.1, 0.3, 0.2), strict=True))
    found = score_meaning(predictions, cider, parts=2)
    assert found["spearman"] == pytest.approx(1.0)
    assert found["pearson"] == pytest.approx(0.8980, abs=1e-4)
    assert found["tenths"] == [
        {"images": 2, "lowest_score": -4.0, "mean_score": -3.5, "cider": 0.15},
        {"images": 2, "lowest_score": -2.0, "mean_score": -1.5, "cider": 0.6},
    ]


def test_equal_scores_have_no_correlation():
    found = score_meaning([prediction("x")] * 3, {"a.jpg": 1.0}, parts=10)
    assert (found["pearson"], found["spearman"]) == (None, None)
    assert [part["images"] for part in found["tenths"]] == [1, 1, 1]


def test_diversity():
    found = diversity(
        [
            prediction("a dog", more=["a dog", "a cat", "a dog"]),
            prediction("two men run", more=["two men run"] * 3),
        ]
    )
    assert found == {
        "distinct_captions": pytest.approx((2 / 4 + 1 / 4) / 2),
        "distinct_1": pytest.approx((3 / 8 + 3 / 12) / 2),
        "distinct_2": pytest.approx((2 / 4 + 2 / 8) / 2),
        "vocabulary": 5.0,
        "mean_words": 2.5,
    }
