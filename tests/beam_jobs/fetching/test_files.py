import tracemalloc

import pytest

from beam_jobs import storage
from beam_jobs.fetching.errors import ShortArchiveError, TooManyBytesError
from beam_jobs.fetching.files import located, read_file, read_span
from beam_jobs.inputs.rows import Span


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("a.jpg", "/base/a.jpg"),
        ("sub/a.jpg", "/base/sub/a.jpg"),
        ("/a.jpg", "/a.jpg"),
        ("gs://bucket/a.jpg", "gs://bucket/a.jpg"),
        ("file:///a.jpg", "file:///a.jpg"),
    ],
)
def test_only_relative_local_paths_start_from_the_base_folder(address, expected):
    assert located(address, "/base") == expected
    assert located(address, "") == address


def test_a_whole_file_and_a_span_of_it_have_their_limits(tmp_path):
    path = str(tmp_path / "archive.bin")
    storage.write_bytes(path, bytes(range(100)))
    assert read_file(path, 100, 5.0) == bytes(range(100))
    assert read_span(Span(path, 10, 5), 5, 5.0) == bytes(range(10, 15))
    assert read_span(Span(path, 0, 0), 5, 5.0) == b""
    with pytest.raises(TooManyBytesError):
        read_file(path, 99, 5.0)
    with pytest.raises(TooManyBytesError):
        read_span(Span(path, 10, 6), 5, 5.0)
    with pytest.raises(ShortArchiveError, match="ends 10 bytes before the image that lies at 95"):
        read_span(Span(path, 95, 15), 100, 5.0)


@pytest.mark.parametrize("num_bytes", [0, 1, 262_143, 262_144, 262_145, 1_000_000])
def test_a_file_is_read_whole_whatever_its_size_and_takes_no_memory_for_the_limit(
    tmp_path, num_bytes
):
    data = bytes(number % 251 for number in range(num_bytes))
    path = str(tmp_path / "a.jpg")
    storage.write_bytes(path, data)
    tracemalloc.start()
    try:
        assert read_file(path, 64 * 2**20, 5.0) == data
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2 * num_bytes + 1_000_000
    if num_bytes:
        with pytest.raises(TooManyBytesError):
            read_file(path, num_bytes - 1, 5.0)
