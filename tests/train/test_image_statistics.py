"""The statistics' sums give pycocoevalcap's own numbers, of the whole and of a part."""

import shutil

import numpy as np
import pytest

from train.image_statistics import corpus_metrics
from train.java_tools import meteor_counts
from train.metrics import METRIC_NAMES, measure_captions, plain_tokenize

REFERENCES = {
    "a": ["A black dog runs on the grass .", "The dog is running ."],
    "b": ["Two girls play with a red ball .", "Girls in a garden .", "Girls playing"],
    "c": ["A man rides a bike down the street .", "A cyclist on a road ."],
    "d": ["A cat sleeps on a sofa ."],
    "e": ["Boats on the water .", "Small boats at sea ."],
}
PREDICTIONS = {
    "a": "a black dog runs on the grass",  # equal to a reference: METEOR counts no chunk
    "b": "two girl plays with a big ball in the garden",
    "c": "a man on a bicycle",
    "d": "",
    "e": "zebra",
}


def of_all(scores, rows=slice(None)):
    table = scores.statistics.table[rows]
    values = corpus_metrics(table.sum(axis=0)[np.newaxis], len(table))
    return {name: float(value[0]) for name, value in values.items()}


def test_all_images_give_the_corpus_metrics():
    [scores] = measure_captions(REFERENCES, [PREDICTIONS], java=False)
    assert of_all(scores) == pytest.approx(scores.metrics, rel=1e-12)
    assert list(of_all(scores)) == [name for name in METRIC_NAMES if name != "METEOR"]
    assert list(scores.statistics.cider) == list(scores.cider.values())
    assert scores.metrics["CIDEr"] == pytest.approx(sum(scores.cider.values()) / 5)


def test_a_part_gives_bleu_and_rouge_of_the_part():
    [scores] = measure_captions(REFERENCES, [PREDICTIONS], java=False)
    ids = ["b", "c"]
    some = [{image_id: texts[image_id] for image_id in ids} for texts in (REFERENCES, PREDICTIONS)]
    [part] = measure_captions(some[0], [some[1]], java=False)
    # CIDEr differs: the part's references give words other weights than the whole's do.
    expected = {name: value for name, value in part.metrics.items() if name != "CIDEr"}
    found = of_all(scores, [1, 2])
    cider = found.pop("CIDEr")
    assert found == pytest.approx(expected, rel=1e-12)
    assert cider == (scores.cider["b"] + scores.cider["c"]) / 2


def test_the_counts_of_bleu_by_hand():
    # "a dog runs" has 3 words and is nearest to the reference of 4; "dog runs" is in it.
    references = {"x": ["the dog runs fast", "here is a dog that is running"]}
    [scores] = measure_captions(references, [{"x": "a dog runs"}], java=False)
    words, nearest, guessed, correct = 3, 4, [3, 2, 1, 0], [3, 2, 0, 0]
    assert list(scores.statistics.table[0, :10]) == [words, nearest, *guessed, *correct]


def test_several_models_are_scored_alike():
    other = {**PREDICTIONS, "d": "a cat"}
    both = measure_captions(REFERENCES, [PREDICTIONS, other], java=False)
    alone = measure_captions(REFERENCES, [other], java=False)
    assert both[1].metrics == alone[0].metrics
    assert both[0].metrics != both[1].metrics


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="no Java on this machine")
def test_meteors_formula_is_that_of_its_program():
    [scores] = measure_captions(REFERENCES, [PREDICTIONS])
    assert tuple(scores.metrics) == METRIC_NAMES
    assert of_all(scores) == pytest.approx(scores.metrics, rel=1e-12)
    tokens = [
        {name: [plain_tokenize(text) for text in REFERENCES[name]] for name in ("b", "c")},
        {name: [plain_tokenize(PREDICTIONS[name])] for name in ("b", "c")},
    ]
    [(part, _)] = meteor_counts(tokens[0], [tokens[1]])
    assert of_all(scores, [1, 2])["METEOR"] == pytest.approx(part, rel=1e-12)
    assert of_all(scores, [3, 4])["METEOR"] == 0.0
