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
