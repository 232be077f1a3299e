import gzip
import io

import pytest

from beam_jobs.inputs.lines import BoundedLines, open_bytes
from beam_jobs.inputs.problems import BadRowError


def taken(stream, max_line: int) -> list[object]:
    lines = BoundedLines(stream, max_line)
    found: list[object] = []
    while True:
        try:
            found.append(next(lines))
        except StopIteration:
            return found
        except BadRowError as error:
            found.append(str(error))


def test_a_line_above_the_limit_costs_itself_alone():
    stream = io.BytesIO(b"abc\n" + b"x" * 25 + b"\nde\n" + b"y" * 9)
    assert taken(stream, 8) == [
        b"abc\n",
        "a line is longer than 8 bytes",
        b"de\n",
        "a line is longer than 8 bytes",
    ]


def test_lines_as_long_as_the_limit_are_whole():
    assert taken(io.BytesIO(b"12345678\n12345678"), 8) == [b"12345678\n", b"12345678"]


def test_text_ends_lines_in_every_way():
    text = io.TextIOWrapper(io.BytesIO(b"a\r\nb\rc\nd"), "utf-8", newline="")
    assert taken(text, 100) == ["a\r\n", "b\r", "c\n", "d"]


def test_gz_is_decompressed_by_its_name(tmp_path):
    (tmp_path / "a.csv.GZ").write_bytes(gzip.compress(b"one\ntwo\n"))
    (tmp_path / "b.csv").write_bytes(b"one\ntwo\n")
    for where, base in ((f"{tmp_path}/a.csv.GZ", ""), ("b.csv", str(tmp_path))):
        with open_bytes(where, base) as stream:
            assert stream.readlines() == [b"one\n", b"two\n"]
        assert stream.closed


def test_the_file_below_a_compressed_one_is_closed(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"x"))
    stream = open_bytes(f"{tmp_path}/a.gz")
    below = stream._below  # type: ignore[attr-defined]
    stream.close()
    assert below.closed


def test_a_missing_file_is_the_storages_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_bytes(f"{tmp_path}/gone.csv")
