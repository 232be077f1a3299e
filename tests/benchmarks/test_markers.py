import pytest

from benchmarks.markers import replace_parts

TEXT = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n<!-- begin y -->\n<!-- end y -->\n"


def test_parts_are_replaced_and_the_rest_stays():
    expected = TEXT.replace("old", r"new \1").replace("begin y -->\n", "begin y -->\nmore\n")
    assert replace_parts(TEXT, {"x": "new \\1\n", "y": "more"}) == expected


def test_replacing_twice_changes_nothing():
    once = replace_parts(TEXT, {"x": "new"})
    assert replace_parts(once, {"x": "new"}) == once


def test_a_part_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="0 places between <!-- begin z -->"):
        replace_parts(TEXT, {"z": "new"})
