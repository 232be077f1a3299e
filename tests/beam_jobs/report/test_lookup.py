import math

import pytest

from beam_jobs.report.lookup import find, find_mappings, find_number, find_text

MANIFEST = {"a": {"b": 3, "nan": math.nan, "flag": True}, "text": "x", "runs": [{"n": 1}, 2]}


def test_values_are_found_by_path():
    assert find(MANIFEST, "a.b") == 3
    assert find(MANIFEST, "a.c") is None
    assert find(MANIFEST, "text.b") is None
    assert find(None, "a") is None


@pytest.mark.parametrize(
    ("path", "number"), [("a.b", 3.0), ("a.nan", None), ("a.flag", None), ("text", None)]
)
def test_only_finite_numbers_are_numbers(path, number):
    assert find_number(MANIFEST, path) == number


def test_missing_text_is_empty():
    assert (find_text(MANIFEST, "text"), find_text(MANIFEST, "none")) == ("x", "")
    assert find_text({"zero": 0}, "zero") == "0"


@pytest.mark.parametrize(("path", "found"), [("runs", [{"n": 1}]), ("text", []), ("none", [])])
def test_only_lists_hold_mappings(path, found):
    assert find_mappings(MANIFEST, path) == found
