import os
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_jobs.sources import ListInputs, check_input, expand_input
from model_lib.errors import ConfigError


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    for name in ("b.JPG", "a.png", "notes.txt", "deep/er/c.webp", "deep/photo[1].jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def expanded(where: str) -> list[str]:
    return sorted(expand_input(where))


def test_a_folder_gives_its_images_however_deep(photos):
    expected = [
        f"{photos}/{name}" for name in ("a.png", "b.JPG", "deep/er/c.webp", "deep/photo[1].jpg")
    ]
    assert expanded(str(photos)) == expanded(f"{photos}/") == expected
    assert expanded(f"file://{photos}") == expected


def test_a_relative_folder_gives_relative_uris(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    assert "photos/deep/er/c.webp" in expanded("photos")
    monkeypatch.chdir(photos)
    assert len(expanded(".")) == 4


def test_a_glob_gives_all_it_matches(photos):
    assert expanded(f"{photos}/*") == [f"{photos}/{n}" for n in ("a.png", "b.JPG", "notes.txt")]
    assert expanded(f"{photos}/**.webp") == [f"{photos}/deep/er/c.webp"]
    assert expanded(f"{photos}/?.png") == [f"{photos}/a.png"]


def test_one_photo_and_one_url_are_themselves(photos):
    for where in (f"{photos}/a.png", f"{photos}/deep/photo[1].jpg", "https://example.org/*?a=[1]"):
        assert expanded(where) == [where]


def test_a_list_has_one_uri_a_line(tmp_path, photos):
    path = tmp_path / "list.txt"
    lines = [
        "\ufeffgone.jpg\r",
        "# a comment",
        "",
        "  gs://bucket/a b.jpg  ",
        "https://example.org/x?y=*",
        "photo[1].jpg",
        f"{photos}/deep/",
        f"{photos}/*.png",
        "none/*.jpg",
        "gone.jpg",
    ]
    path.write_bytes("\n".join(lines).encode() + b"\ncaf\xe9.jpg")
    assert list(expand_input(f"@{path}")) == [
        "gone.jpg",
        "gs://bucket/a b.jpg",
        "https://example.org/x?y=*",
        "photo[1].jpg",
        f"{photos}/deep/photo[1].jpg",
        f"{photos}/deep/er/c.webp",
        f"{photos}/a.png",
        "none/*.jpg",
        "gone.jpg",
        "caf\\xe9.jpg",
    ]


def test_a_file_name_that_is_not_utf_8_stays_an_input(tmp_path):
    folder = os.fsencode(tmp_path)
    Path(os.fsdecode(folder + b"/caf\xe9.jpg")).write_bytes(b"x")
    assert expanded(str(tmp_path)) == [f"{tmp_path}/caf\\udce9.jpg"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{0}/nowhere", "there is no such folder or file"),
        ("{0}/nowhere/", "there is no such folder or file"),
        ("{0}/*.gif", "nothing matches; put the pattern in quotes"),
        ("@{0}/nowhere.txt", "there is no such list"),
        ("{0}/empty", "the folder holds no image (.jpg"),
        ("nosuch://bucket/x", "cannot be looked up: Unable to get filesystem"),
    ],
)
def test_an_input_that_names_nothing_is_refused(photos, where, message):
    (photos / "empty").mkdir()
    (photos / "empty" / "a.txt").touch()
    where = where.format(photos)
    with pytest.raises(ConfigError) as raised:
        check_input(where)
    assert str(raised.value).startswith(f"--input {where}: {message}")


def test_inputs_that_name_something_are_accepted(photos, tmp_path):
    (tmp_path / "list.txt").write_text("missing.jpg\n")
    names = ("", "/", "/a.png", "/*.png", "/deep/photo[1].jpg", "/missing.jpg")
    for where in (*(f"{photos}{name}" for name in names), f"@{tmp_path}/list.txt"):
        check_input(where)
    check_input("https://example.org/never-asked.jpg")


@pytest.mark.parametrize(
    ("limit", "names"), [(None, ["a", "b", "c", "d"]), (2, ["a", "b"]), (9, ["a", "b", "c", "d"])]
)
def test_distinct_uris_and_the_first_of_them_in_order(tmp_path, limit, names):
    (tmp_path / "one.txt").write_text("d\nb\nb\nc\n")
    (tmp_path / "two.txt").write_text("b\na\n")
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        uris = pipeline | ListInputs([f"@{tmp_path}/one.txt", f"@{tmp_path}/two.txt"], limit)
        assert_that(uris, equal_to(names))
