import shutil
import sys

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs import object_stores, storage
from tests.services.gcs import Gcs
from tests.services.s3 import S3


@pytest.fixture
def server(bucket, request):
    return request.getfixturevalue("s3_server" if bucket.startswith("s3") else "gcs_server")


@pytest.fixture
def missing(bucket) -> str:
    return f"{bucket}-missing"


def write(address: str, data: bytes) -> None:
    with object_stores.open_write(address) as stream:
        stream.write(data)


def read(address: str) -> bytes:
    with object_stores.open_read(address) as stream:
        return stream.read()


def test_buckets_are_named():
    assert object_stores.bucket_of("gs://bucket/a/b") == "gs://bucket"
    assert object_stores.bucket_of("s3://bucket") == "s3://bucket"


@pytest.mark.parametrize("size", [0, 1, 9_000_000])
def test_an_object_comes_back_as_it_was(bucket, size):
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    write(f"{bucket}/a", data)
    assert read(f"{bucket}/a") == data
    assert [file.size_in_bytes for file in storage.list_folder(bucket)] == [size]


def test_parts_of_an_object_are_read(bucket):
    write(f"{bucket}/a", b"0123456789" * 1000)
    with object_stores.open_read(f"{bucket}/a") as stream:
        stream.seek(9990)
        assert stream.read(5) == b"01234"
        stream.seek(-3, 2)
        assert stream.read() == b"789"


def test_two_objects_are_read_by_turns(bucket):
    write(f"{bucket}/a", b"a" * 10)
    write(f"{bucket}/b", b"b" * 10)
    with (
        object_stores.open_read(f"{bucket}/a") as first,
        object_stores.open_read(f"{bucket}/b") as second,
    ):
        assert [first.read(5), second.read(5), first.read(), second.read()] == [
            b"a" * 5,
            b"b" * 5,
            b"a" * 5,
            b"b" * 5,
        ]


def break_off(address: str, size: int) -> None:
    with object_stores.open_write(address) as stream:
        stream.write(bytes(size))
        raise ZeroDivisionError


@pytest.mark.parametrize("size", [10, 9_000_000])
def test_an_upload_that_an_error_breaks_off_leaves_no_object(bucket, size):
    write(f"{bucket}/old", b"old")
    for name in ("new", "old"):
        with pytest.raises(ZeroDivisionError):
            break_off(f"{bucket}/{name}", size)
    assert not object_stores.exists(f"{bucket}/new")
    assert read(f"{bucket}/old") == b"old"


def test_many_objects_are_removed_at_once(bucket):
    names = [f"{bucket}/{number:03d} [x]*" for number in range(103)]
    for name in names:
        write(name, b"x")
    object_stores.delete([*names, f"{bucket}/never there"])
    assert list(storage.list_folder(bucket)) == []


def test_a_missing_object_is_an_error_that_names_it(bucket):
    assert not object_stores.exists(f"{bucket}/none")
    with pytest.raises(FileNotFoundError, match=f"{bucket}/none"):
        object_stores.open_read(f"{bucket}/none")


def test_a_missing_bucket_is_an_error_that_names_it(missing, tmp_path):
    assert not object_stores.exists(f"{missing}/a")
    with pytest.raises(FileNotFoundError, match=f"{missing}/a"):
        object_stores.open_read(f"{missing}/a")
    for act in (
        lambda: write(f"{missing}/a", b"x"),
        lambda: write(f"{missing}/a", bytes(9_000_000)),
        lambda: storage.write_atomically(f"{missing}/a", b"x"),
        lambda: list(storage.list_folder(f"{missing}/a")),
        lambda: list(storage.list_pattern(f"{missing}/*.jpg", 1)),
    ):
        with pytest.raises(FileNotFoundError, match=f"there is no bucket {missing}"):
            act()


def write_while_it_vanishes(bucket: str, server: Gcs | S3) -> None:
    with object_stores.open_write(f"{bucket}/big") as stream:
        stream.write(b"x")
        server.remove_bucket(bucket.split("/")[-1])
        for _ in range(5):
            stream.write(bytes(9_000_000))


def test_a_bucket_that_vanishes_is_an_error_that_names_it(bucket, server):
    with pytest.raises(FileNotFoundError, match=f"there is no bucket {bucket}"):
        write_while_it_vanishes(bucket, server)
    with pytest.raises(FileNotFoundError, match=f"there is no bucket {bucket}"):
        list(storage.list_folder(bucket))


def test_errors_without_a_status_keep_their_words(s3_bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    object_stores.forget_clients()
    with pytest.raises(object_stores.StorageError, match=rf"{s3_bucket}/a: .*127\.0\.0\.1:1"):
        write(f"{s3_bucket}/a", b"x")


def test_refused_access_is_an_error_of_its_own(bucket):
    class Refused(object_stores.BeamIOError):
        pass

    with (
        pytest.raises(PermissionError, match="access denied"),
        object_stores.errors_named(f"{bucket}/a"),
    ):
        raise Refused("Match operation failed", {f"{bucket}/a": 403})


def test_missing_libraries_are_named_by_their_extra(monkeypatch):
    object_stores.forget_clients()
    monkeypatch.setitem(sys.modules, "apache_beam.io.gcp.gcsio", None)
    with pytest.raises(object_stores.StorageError, match=r"extra `gcp`: pip install '.*\[gcp\]'"):
        object_stores.open_read("gs://b/a")
    monkeypatch.setattr("apache_beam.io.aws.clients.s3.boto3_client.boto3", None)
    with pytest.raises(object_stores.StorageError, match="extra `aws`"):
        object_stores.open_write("s3://b/a")
    object_stores.forget_clients()


def test_beams_own_flags_reach_the_client(s3_server, s3_bucket, monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    flags = [
        f"--s3_endpoint_url={s3_server.url}",
        "--s3_access_key_id=a",
        "--s3_secret_access_key=b",
        "--s3_region_name=us-east-1",
    ]
    FileSystems.set_options(PipelineOptions(flags))
    write(f"{s3_bucket}/a", b"x")
    assert read(f"{s3_bucket}/a") == b"x"


def test_a_copy_of_a_local_file_arrives_whole(bucket, tmp_path):
    path = tmp_path / "local"
    path.write_bytes(bytes(range(256)) * 20_000)
    with path.open("rb") as source, object_stores.open_write(f"{bucket}/a") as target:
        shutil.copyfileobj(source, target, 1024 * 1024)
    assert read(f"{bucket}/a") == path.read_bytes()
