"""A file is old or new, never torn."""

import hashlib

import pytest

from train.durable_files import replace_text, sha256_of


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


def test_a_files_hash(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 1_000_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
