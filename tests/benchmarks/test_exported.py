"""What the comparison of an export with its bundle says; the comparison itself is run by hand."""

import tensorflow as tf

from benchmarks.exported import listed, pairs, said


def test_photos_of_a_folder(tmp_path):
    for name in ("b.JPG", "a.png", "c.webp", "README.md"):
        (tmp_path / name).touch()
    assert sorted(listed(tmp_path)) == ["a.png", "b.JPG"]


def test_differences_in_words():
    outputs = {"caption": tf.constant(["a dog", "a cat"]), "score": tf.constant([-0.5, -1.0])}
    found = pairs(outputs, [("a dog", -0.5), ("a dog", -0.75)])
    assert found == [(False, 0.0), (True, 0.25)]
    assert said(found) == "1 captions differ; scores by 2.5e-01 at most"
