from collections.abc import Iterator

import pytest

from beam_jobs import object_stores, storage
from beam_jobs.config import FetchConfig
from beam_jobs.fetching.errors import ShortArchiveError, TooManyBytesError
from beam_jobs.fetching.fetcher import Fetcher, FetchFailedError
from beam_jobs.fetching.files import read_file, read_span
from beam_jobs.fetching.object_ranges import is_object, read_range
from beam_jobs.fetching.read_pool import ReadPool
from beam_jobs.inputs.rows import InputRow, Span
from tests.beam_jobs.conftest import WebHandler


@pytest.fixture(autouse=True)
def new_clients() -> Iterator[None]:
    object_stores.forget_clients()
    yield
    object_stores.forget_clients()


def test_only_the_two_stores_are_read_so():
    uris = ["gs://b/a", "s3://b/a", "/a", "http://b/a", "azfs://b/c/a"]
    assert [is_object(uri) for uri in uris] == [True, True, False, False, False]


def test_ranges_end_where_the_object_does(bucket):
    storage.write_bytes(f"{bucket}/ten", b"0123456789")
    ranges = [(0, 4), (3, 5), (8, 5), (10, 5), (0, 100)]
    found = [read_range(f"{bucket}/ten", first, length, 5.0) for first, length in ranges]
    assert found == [b"0123", b"34567", b"89", b"", b"0123456789"]
    for missing in (f"{bucket}/eleven", bucket, f"{bucket}/"):
        with pytest.raises(FileNotFoundError):
            read_range(missing, 0, 10, 5.0)


def test_object_stores_give_files_and_spans_and_say_what_is_missing(bucket):
    archive = bytes(range(256)) * 4096
    storage.write_bytes(f"{bucket}/shard.tar", archive)
    rows = [InputRow(f"{bucket}/shard.tar")]
    spans = [Span(f"{bucket}/shard.tar", at, 1000 + at) for at in range(0, 500_000, 50_001)]
    rows += [InputRow(f"{bucket}/shard.tar#{at}", span=span) for at, span in enumerate(spans)]
    pool = ReadPool(FetchConfig(threads=4))
    try:
        results = [result for row in rows for result in pool.submit(row)] + list(pool.drain())
    finally:
        pool.close()
    assert [result.error for result in results] == [None] * len(rows)
    assert [result.row for result in results] == rows
    assert results[0].data == archive
    cut = [archive[span.offset_bytes :][: span.num_bytes] for span in spans]
    assert [result.data for result in results[1:]] == cut

    for missing in (f"{bucket}/gone.jpg", f"{bucket}-gone/a.jpg"):
        with pytest.raises(FetchFailedError) as raised:
            Fetcher(FetchConfig()).fetch(missing)
        assert (raised.value.attempts, raised.value.transient) == (1, False), raised.value.__cause__
    with pytest.raises(FetchFailedError) as raised:
        Fetcher(FetchConfig()).fetch_span(Span(f"{bucket}/shard.tar", len(archive) - 5, 10))
    assert type(raised.value.__cause__) is ShortArchiveError


def test_an_empty_object_and_one_at_the_limit_are_read(bucket):
    storage.write_bytes(f"{bucket}/empty.jpg", b"")
    storage.write_bytes(f"{bucket}/ten.jpg", b"0123456789")
    assert read_file(f"{bucket}/empty.jpg", 100, 5.0) == b""
    assert read_file(f"{bucket}/ten.jpg", 10, 5.0) == b"0123456789"
    with pytest.raises(TooManyBytesError):
        read_file(f"{bucket}/ten.jpg", 9, 5.0)
    assert read_span(Span(f"{bucket}/empty.jpg", 0, 0), 10, 5.0) == b""


@pytest.mark.parametrize("scheme", ["gs", "s3"])
@pytest.mark.parametrize(
    ("path", "attempts", "transient"),
    [("broken.jpg", 2, True), ("forbidden.jpg", 1, False), ("reset.jpg", 2, True)],
)
def test_a_store_in_trouble_is_asked_again(
    request, web, monkeypatch, scheme, path, attempts, transient
):
    request.getfixturevalue({"gs": "gcs_bucket", "s3": "s3_bucket"}[scheme])
    monkeypatch.setenv("AWS_ENDPOINT_URL", web.url("").rstrip("/"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", web.url("").rstrip("/"))
    object_stores.forget_clients()
    # S3 asks for /bucket/name, and Google for /download/storage/...: the server goes by the first.
    monkeypatch.setattr(WebHandler, "get_download", getattr(WebHandler, f"get_{path[:-4]}"), False)
    with pytest.raises(FetchFailedError) as raised:
        Fetcher(FetchConfig(attempts=2)).fetch(f"{scheme}://{path}/a.jpg")
    assert (raised.value.attempts, raised.value.transient) == (attempts, transient)
    # Google's client also asks for the bucket, in the background.
    asked = [times for asked_for, times in web.requests.items() if "a.jpg" in asked_for]
    assert asked == [attempts]


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_a_store_that_cannot_be_reached_is_asked_again(request, monkeypatch, scheme):
    request.getfixturevalue({"gs": "gcs_bucket", "s3": "s3_bucket"}[scheme])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    object_stores.forget_clients()
    with pytest.raises(FetchFailedError) as raised:
        Fetcher(FetchConfig(attempts=2)).fetch(f"{scheme}://bucket/a.jpg")
    assert (raised.value.attempts, raised.value.transient) == (2, True), raised.value.__cause__
