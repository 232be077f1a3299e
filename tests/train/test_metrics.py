"""Scores against values worked out by hand, and against a run of COCO's own programs."""

import math
import shutil

import pytest

from train.errors import EvaluationError, JavaMissingError
from train.metrics import METRIC_NAMES, plain_tokenize, score_captions

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java on this machine")
REFERENCES = {
    "a": ["A black dog runs on the grass .", "The dog is running ."],
    "b": ["Two girls play with a red ball .", "Girls in a garden ."],
    "c": ["A man rides a bike down the street .", "A cyclist on a road ."],
}
FIRST = {image_id: texts[0] for image_id, texts in REFERENCES.items()}


def test_captions_equal_to_a_reference_score_one_without_java():
    scores = score_captions(REFERENCES, FIRST, java=False)
    assert list(scores) == [name for name in METRIC_NAMES if name != "METEOR"]
    for name in ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L"):
        assert scores[name] == pytest.approx(1.0, abs=1e-8)
    assert scores["CIDEr"] > 1.0


def test_bleu_by_hand():
    # Candidate "a dog runs": 2 of 3 words ("dog", "runs") and 1 of 2 pairs ("dog runs") are in
    # the reference "the dog runs fast" of 4 words: brevity penalty exp(1 - 4/3).
    scores = score_captions({"x": ["the dog runs fast"]}, {"x": "a dog runs"}, java=False)
    brevity = math.exp(1 - 4 / 3)
    assert scores["BLEU-1"] == pytest.approx(brevity * 2 / 3, abs=1e-6)
    assert scores["BLEU-2"] == pytest.approx(brevity * math.sqrt(2 / 3 * 1 / 2), abs=1e-6)
    assert scores["BLEU-3"] < 1e-3


def test_bleu_clips_repeated_words():
    # Papineni et al. 2002: of seven "the" two count, since no reference has more.
    references = {"x": ["the cat is on the mat", "there is a cat on the mat"]}
    scores = score_captions(references, {"x": "the the the the the the the"}, java=False)
    assert scores["BLEU-1"] == pytest.approx(2 / 7, abs=1e-6)


def test_rouge_l_by_hand():
    # Longest common subsequence "dog runs": precision 2/3, recall 2/4, beta 1.2.
    scores = score_captions({"x": ["the dog runs fast"]}, {"x": "a dog runs"}, java=False)
    precision, recall, beta = 2 / 3, 2 / 4, 1.2
    expected = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    assert scores["ROUGE-L"] == pytest.approx(expected)


def test_cider_by_hand():
    # Two images, one reference of two words each, no word in common: every n-gram has the same
    # weight log 2. For "x" all n-grams match (1 for n = 1 and 2, 0 for 3 and 4, as there are
    # none), for "y" none does: mean of 10 * 2/4 and 0. Vedantam et al. 2015, CIDEr-D.
    references = {"x": ["black dog"], "y": ["red ball"]}
    scores = score_captions(references, {"x": "black dog", "y": "big house"}, java=False)
    assert scores["CIDEr"] == pytest.approx(10 * (2 / 4) / 2)


def test_captions_with_nothing_in_common_and_empty_ones_score_nothing():
    predictions = {"a": "zebra", "b": "", "c": "..."}
    scores = score_captions(REFERENCES, predictions, java=False)
    assert max(scores.values()) < 1e-6


@pytest.mark.java
@pytest.mark.slow
@needs_java
def test_captions_equal_to_a_reference_score_one_with_java():
    scores = score_captions(REFERENCES, FIRST)
    assert tuple(scores) == METRIC_NAMES
    for name in ("BLEU-1", "BLEU-4", "METEOR", "ROUGE-L"):
        assert scores[name] == pytest.approx(1.0, abs=1e-8)
    assert scores["CIDEr"] > 1.0


@pytest.mark.java
@pytest.mark.slow
@needs_java
def test_scores_are_those_of_pycocoevalcaps_own_classes():
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    predictions = {"a": "a dog's running .", "b": "two girls with a ball", "c": "a man"}
    tokenize = PTBTokenizer().tokenize
    truth = tokenize({i: [{"caption": text} for text in texts] for i, texts in REFERENCES.items()})
    guesses = tokenize({i: [{"caption": text}] for i, text in predictions.items()})
    expected = dict(
        zip(METRIC_NAMES, Bleu(4).compute_score(truth, guesses, verbose=0)[0], strict=False)
    )
    for name, scorer in {"METEOR": Meteor(), "ROUGE-L": Rouge(), "CIDEr": Cider()}.items():
        expected[name] = scorer.compute_score(truth, guesses)[0]
    assert score_captions(REFERENCES, predictions) == pytest.approx(expected)


def test_nothing_is_printed(capfd):
    score_captions(REFERENCES, FIRST, java=False)
    assert capfd.readouterr() == ("", "")


def test_without_java_the_error_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JavaMissingError, match="use --no_java"):
        score_captions(REFERENCES, FIRST)


@pytest.mark.parametrize(
    ("references", "predictions", "message"),
    [
        (REFERENCES, {"a": "x", "c": "y"}, "^1 images with references have no prediction: b;"),
        (REFERENCES, {**FIRST, "d": "x"}, "^1 predictions are of images without references: d;"),
        (
            {str(n): ["x"] for n in range(7)},
            {"q": "x"},
            "without references: q; 7 images with .* no prediction: 0, 1, 2, 3, 4, [.]{3};",
        ),
        ({"a": []}, {"a": "x"}, "^1 images have an empty list of references: a;"),
        ({}, {}, "nothing to score"),
    ],
)
def test_ids_that_differ_are_listed(references, predictions, message):
    with pytest.raises(EvaluationError, match=message):
        score_captions(references, predictions, java=False)


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("A dog's T-shirt, size 3.5.", "a dog's t-shirt size 3.5"),
        ("left/right -- (both)!", "left right both"),
        ("1,000 people ; 2 cars", "1,000 people 2 cars"),
        ("Zwei Männer", "zwei männer"),
        (" . ", ""),
    ],
)
def test_plain_tokens(caption, tokens):
    assert plain_tokenize(caption) == tokens
