import os
from pathlib import Path

import pytest

from beam_jobs.inputs.formats import InputSpec
from beam_jobs.inputs.listing import expand_location, input_files, resolve


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


@pytest.fixture
def photos(tmp_path) -> Path:
    names = ("b.JPG", "a.png", "notes.txt", "deep/er/c.webp", "deep/photo[1].jpg")
    return touch(tmp_path / "photos", *names)


def expanded(where: str, base_folder: str | Path = "") -> list[str]:
    return sorted(expand_location(where, str(base_folder)))


def test_a_folder_gives_its_images_however_deep(photos):
    expected = [
        f"{photos}/{name}" for name in ("a.png", "b.JPG", "deep/er/c.webp", "deep/photo[1].jpg")
    ]
    assert expanded(str(photos)) == expanded(f"{photos}/") == expected
    assert expanded(f"file://{photos}") == expected


def test_a_relative_folder_gives_relative_uris_from_any_working_directory(photos):
    names = ["a.png", "b.JPG", "deep/er/c.webp", "deep/photo[1].jpg"]
    assert expanded("photos", photos.parent) == [f"photos/{name}" for name in names]
    assert expanded(".", photos) == [f"./{name}" for name in names]
    assert expanded("../photos/*.png", photos / "deep/..") == ["../photos/a.png"]
    assert expanded("a.png", photos) == ["a.png"]


def test_a_base_folder_with_a_pattern_in_its_name(tmp_path):
    touch(tmp_path / "set[1]", "photos/a.jpg", "photos[2]/b.jpg")
    assert expanded("photos/*", tmp_path / "set[1]") == ["photos/a.jpg"]
    assert expanded("photos[2]", tmp_path / "set[1]") == ["photos[2]/b.jpg"]


def test_relative_uris_in_the_working_directory(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    assert "photos/deep/er/c.webp" in expanded("photos")


def test_a_glob_gives_all_it_matches(photos):
    assert expanded(f"{photos}/*") == [f"{photos}/{n}" for n in ("a.png", "b.JPG", "notes.txt")]
    assert expanded(f"{photos}/**.webp") == [f"{photos}/deep/er/c.webp"]
    assert expanded(f"{photos}/?.png") == [f"{photos}/a.png"]


def test_one_photo_and_one_url_are_themselves(photos):
    urls = ("https://example.org/*?a=[1]", "HTTP://example.org/")
    for where in (f"{photos}/a.png", f"{photos}/deep/photo[1].jpg", f"{photos}/gone/", *urls):
        assert expanded(where) == [where]


def test_a_file_name_that_is_not_utf_8_stays_an_input(tmp_path):
    folder = os.fsencode(tmp_path)
    Path(os.fsdecode(folder + b"/caf\xe9.jpg")).write_bytes(b"x")
    assert expanded(str(tmp_path)) == [f"{tmp_path}/caf\\udce9.jpg"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("a/b.jpg", "/work/a/b.jpg"),
        ("/a/b.jpg", "/a/b.jpg"),
        ("file:///a%20b.jpg", "/a b.jpg"),
        ("gs://bucket/a", "gs://bucket/a"),
    ],
)
def test_only_relative_local_paths_start_from_the_base_folder(address, expected):
    assert resolve(address, "/work") == expected


def test_tables_of_a_folder_in_order_without_what_is_hidden(tmp_path):
    names = ("b.parquet", "a.PQ", "deep/c.parquet")
    hidden = ("_temporary/d.parquet", ".staging/e.parquet", "f.parquet.crc", "g.csv", "_h.parquet")
    touch(tmp_path / "_out", *names, *hidden)
    spec = InputSpec(f"{tmp_path}/_out", "parquet")
    assert list(input_files(spec)) == [
        f"{tmp_path}/_out/{name}" for name in ("a.PQ", "b.parquet", "deep/c.parquet")
    ]
    relative = InputSpec("_out/", "parquet", base_folder=str(tmp_path))
    assert list(input_files(relative)) == ["_out/a.PQ", "_out/b.parquet", "_out/deep/c.parquet"]


def test_a_glob_and_a_file_give_tables_of_any_name(tmp_path):
    touch(tmp_path, "b.data", "a.data", "c[1].tar")
    assert list(input_files(InputSpec(f"{tmp_path}/*.data", "csv"))) == [
        f"{tmp_path}/a.data",
        f"{tmp_path}/b.data",
    ]
    assert list(input_files(InputSpec(f"{tmp_path}/c[1].tar", "webdataset"))) == [
        f"{tmp_path}/c[1].tar"
    ]
