import json
from pathlib import Path

import pytest

from beam_jobs.outputs.image_folder import MetadataFile, write_metadata
from tests.beam_jobs.run_folder import caption_row, write_tables


@pytest.fixture
def output(tmp_path) -> Path:
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    uris = [f"{photos}/a.jpg", f"file://{photos}/deep/b c.jpg", "https://example.org/x.jpg"]
    rows = [caption_row(uri, caption=f"café {at}") for at, uri in enumerate(uris)]
    write_tables(tmp_path / "out", rows)
    return tmp_path / "out"


def lines(path: Path) -> list[dict[str, str]]:
    return sorted(map(json.loads, path.read_text().splitlines()), key=lambda line: line["text"])


LINES = [
    {"file_name": "a.jpg", "text": "café 0"},
    {"file_name": "deep/b c.jpg", "text": "café 1"},
]


def test_beside_the_photos_names_start_there(output):
    path = output.parent / "photos" / "metadata.jsonl"
    result = write_metadata(str(output), str(path), ["x.csv"])
    assert lines(path) == LINES
    assert result == MetadataFile(str(path), str(path.parent), 2, 1)


def test_in_the_output_names_start_in_the_one_input_folder(output):
    path, photos = output / "metadata.jsonl", str(output.parent / "photos")
    result = write_metadata(str(output), str(path), ["https://example.org/x.jpg", photos])
    assert lines(path) == LINES
    assert result == MetadataFile(str(path), photos, 2, 1)


def test_the_file_is_replaced_whole(output):
    path = output.parent / "photos" / "metadata.jsonl"
    path.write_text("old")
    write_metadata(str(output), str(path), [])
    assert lines(path) == LINES
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["deep", "metadata.jsonl"]


def test_relative_photos_below_a_relative_folder(output, monkeypatch):
    monkeypatch.chdir(output.parent)
    write_tables(output, [caption_row("photos/z.jpg", caption="z")], num_files=1)
    write_metadata("out", "photos/metadata.jsonl", ["photos"])
    assert {"file_name": "z.jpg", "text": "z"} in lines(Path("photos/metadata.jsonl"))
