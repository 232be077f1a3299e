import pytest

from beam_jobs import storage


def test_file_uris_become_paths():
    assert storage.plain_path("file:///a%20b/c.jpg") == "/a b/c.jpg"
    assert storage.plain_path("file://localhost/a.jpg") == "/a.jpg"
    assert storage.plain_path("gs://b/a%20b") == "gs://b/a%20b"


def test_bytes_are_taken_as_they_are(tmp_path):
    path = str(tmp_path / "new" / "photo.gz")
    storage.write_bytes(path, b"\x1f\x8bnot really")
    with storage.open_read(f"file://{path}") as stream:
        assert stream.read() == b"\x1f\x8bnot really"


def test_replaced_files_leave_nothing_behind(tmp_path):
    path = str(tmp_path / "m.json")
    storage.replace_bytes(path, b"1")
    storage.replace_bytes(path, b"2")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("m.json", b"2")]


def test_a_move_may_be_done_twice(tmp_path):
    source, target = str(tmp_path / "s"), str(tmp_path / "folder" / "t")
    storage.write_bytes(source, b"x")
    storage.move(source, target)
    storage.move(source, target)
    assert (tmp_path / "folder" / "t").read_bytes() == b"x"
    with pytest.raises(OSError, match="Rename operation failed"):
        storage.move(source, str(tmp_path / "elsewhere"))


def test_folders_are_listed_however_deep_and_named(tmp_path):
    folder = tmp_path / "photos [2020] *"
    for name in ("a.txt", "sub/deep/b.txt"):
        storage.write_bytes(str(folder / name), b"x")
    storage.write_bytes(str(tmp_path / "photos 2" / "c.txt"), b"x")
    found = sorted(file.path for file in storage.list_folder(str(folder)))
    assert found == [str(folder / "a.txt"), str(folder / "sub/deep/b.txt")]
    assert len(list(storage.list_folder(str(folder), 1))) == 1
    assert list(storage.list_folder(str(tmp_path / "none"))) == []


def test_deleting_passes_over_what_is_not_there(tmp_path):
    storage.write_bytes(str(tmp_path / "f" / "a"), b"x")
    storage.delete([str(tmp_path / "missing")])
    storage.delete_folder(str(tmp_path / "missing"))
    storage.delete_folder(str(tmp_path / "f"))
    assert list(tmp_path.iterdir()) == []


def test_an_atomic_write_is_whole_or_not_there(tmp_path, monkeypatch):
    path = str(tmp_path / "new" / "m.json")
    storage.write_atomically(path, b"1")
    storage.write_atomically(f"file://{path}", b"2")
    monkeypatch.setattr("os.replace", no_space)
    with pytest.raises(OSError, match="No space left"):
        storage.write_atomically(path, b"3")
    found = [(file.name, file.read_bytes()) for file in (tmp_path / "new").iterdir()]
    assert found == [("m.json", b"2")]


def no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_object_stores_are_known_by_their_scheme():
    assert storage.is_object_store("gs://b/a")
    assert storage.is_object_store("S3://b/a")
    assert not storage.is_object_store("/gs://b/a")
    assert not storage.is_object_store("hdfs://h/a")


def contents(folder: str) -> dict[str, bytes]:
    found = {}
    for file in storage.list_folder(folder):
        with storage.open_read(file.path) as stream:
            found[file.path[len(folder) + 1 :]] = stream.read()
    return found


def test_files_in_a_bucket_are_written_moved_and_removed(bucket):
    folder = storage.join(bucket, "out", "[x]*")
    storage.write_bytes(f"{folder}/a.gz", b"\x1f\x8bnot really")
    storage.write_atomically(f"{folder}/b", b"1")
    storage.write_atomically(f"{folder}/b", b"2")
    storage.replace_bytes(f"{folder}/c", b"3")
    storage.write_bytes(f"{bucket}/out/xy", b"outside")
    inside = {"a.gz": b"\x1f\x8bnot really", "b": b"2", "c": b"3"}
    assert contents(folder) == inside
    storage.move(f"{folder}/a.gz", f"{folder}/d/a.gz")
    storage.move(f"{folder}/a.gz", f"{folder}/d/a.gz")
    storage.replace(f"{folder}/b", f"{folder}/c")
    assert contents(folder) == {"d/a.gz": inside["a.gz"], "c": b"2"}
    with pytest.raises(FileNotFoundError, match="cannot become"):
        storage.move(f"{folder}/b", f"{folder}/e")
    storage.delete([f"{folder}/c", f"{folder}/none"])
    assert len(list(storage.list_folder(bucket, 1))) == 1
    assert storage.exists(f"{folder}/d/a.gz")
    storage.delete_folder(folder)
    storage.delete_folder(folder)
    assert contents(bucket) == {"out/xy": b"outside"}


def test_files_of_several_stores_are_removed_at_once(gcs_bucket, s3_bucket, tmp_path):
    paths = [f"{gcs_bucket}/a", f"{s3_bucket}/a", str(tmp_path / "a")]
    for path in paths:
        storage.write_bytes(path, b"x")
    storage.delete(paths)
    assert [storage.exists(path) for path in paths] == [False, False, False]
