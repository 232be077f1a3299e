import pytest

from train.candidates import labels, predictions_path, saved_candidate


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["bundles/small"], ["small"]),
        (["b/small/", "c/large"], ["small", "large"]),
        (["a/x/small", "b/x/small", "large"], ["a/x/small", "b/x/small", "large"]),
        (["runs/1/bundle", "runs/2/bundle"], ["1/bundle", "2/bundle"]),
        (["runs/1/bundle"], ["1/bundle"]),
        (["gs://b/small", "small", "small"], ["b/small", None, None]),
        (["x/a.predictions.jsonl", "x/run.parquet"], ["a", "run.parquet"]),
        (["x/a", "x/a", "x/a"], ["a", "a (2)", "a (3)"]),
        (["/small", "/x/small"], ["small", "x/small"]),
    ],
)
def test_labels_tell_paths_apart(paths, expected):
    found = labels(paths)
    assert len(set(found)) == len(paths)
    pairs = zip(found, expected, strict=True)
    assert all(label == text for label, text in pairs if text is not None)


def test_predictions_lie_beside_the_results():
    assert str(predictions_path("out/e.json", "a/b (2)", alone=True)) == "out/e.predictions.jsonl"
    assert (
        str(predictions_path("out/e.json", "a/b (2)", alone=False))
        == "out/e.a_b_2_.predictions.jsonl"
    )


def test_saved_captions_say_where_they_are_from():
    found = saved_candidate("run", {"a.jpg": "a dog"}, "out/run")
    assert (found.label, found.captions, found.predictions) == ("run", {"a.jpg": "a dog"}, ())
    assert found.about == {"bundle": None, "decode": None, "predictions": "out/run"}
