"""A file is old or new, never torn."""

import pytest

from train.durable_files import replace_text


def test_a_file_is_written_and_replaced(tmp_path):
    replace_text(tmp_path / "a.json", "old\n")
    replace_text(tmp_path / "a.json", "caf\u00e9\n")
    assert (tmp_path / "a.json").read_bytes() == b"caf\xc3\xa9\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    replace_text(tmp_path / "a.json", "old")
    with pytest.raises(UnicodeEncodeError):
        replace_text(tmp_path / "a.json", "\ud800")
    assert (tmp_path / "a.json").read_text() == "old"
