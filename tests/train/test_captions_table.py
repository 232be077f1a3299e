"""Tables of captions: what is read from each layout, and which mistake gives which error."""

import json
import re

import pytest

from tests.train.folders import CAPTIONS, write_jsonl_folder, write_photos, write_tsv_folder
from train.captions_table import PhotoFile, read_photo_folder, table_paths
from train.errors import DatasetError


def photo(folder, name):
    return PhotoFile(name, folder / "images" / name, tuple(CAPTIONS[name]))


def test_tsv_with_split_files_is_read_in_their_order(tmp_path):
    folder = write_tsv_folder(tmp_path, dev=["grey.bmp", "green.png"])
    assert read_photo_folder(folder) == {
        "train": [photo(folder, "red.jpg"), photo(folder, "blue.webp")],
        "dev": [photo(folder, "grey.bmp"), photo(folder, "green.png")],
    }
    assert [path.name for path in table_paths(folder)] == ["captions.tsv", "train.txt", "dev.txt"]


@pytest.mark.parametrize("given", ["train", "dev"])
def test_one_split_file_leaves_the_rest_to_the_other_split(tmp_path, given):
    folder = write_tsv_folder(tmp_path)
    (folder / f"{given}.txt").write_text("blue.webp\n")
    splits = {name: [p.name for p in photos] for name, photos in read_photo_folder(folder).items()}
    other = {"train": "dev", "dev": "train"}[given]
    assert splits == {given: ["blue.webp"], other: ["red.jpg", "green.png", "grey.bmp"]}


def test_without_split_files_the_share_is_chosen_by_the_hash_of_the_name(tmp_path):
    folder = write_tsv_folder(tmp_path)
    splits = {
        share: [photo.name for photo in read_photo_folder(folder, share)["dev"]]
        for share in (0.1, 0.5, 1.0)
    }
    assert len(splits[0.1]) == 1
    assert len(splits[0.5]) == 2
    assert set(splits[0.1]) < set(splits[0.5]) < set(splits[1.0])
    assert splits[1.0] == list(CAPTIONS)
    assert read_photo_folder(folder, 0.5) == read_photo_folder(folder, 0.5)
    train = [photo.name for photo in read_photo_folder(folder, 0.5)["train"]]
    assert sorted(train + splits[0.5]) == sorted(CAPTIONS)


def test_jsonl_text_may_be_a_string_or_a_list_and_lines_of_a_photo_are_merged(tmp_path):
    write_photos(tmp_path, ["red.jpg", "blue.png"])
    rows = [
        {"file_name": "red.jpg", "text": "one"},
        {"file_name": "blue.png", "text": ["two", "three"], "other": 1},
        {"file_name": "red.jpg", "text": "  four\n lines "},
    ]
    (tmp_path / "metadata.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    (tmp_path / "dev.txt").write_text("blue.png")
    assert read_photo_folder(tmp_path) == {
        "train": [PhotoFile("red.jpg", tmp_path / "red.jpg", ("one", "four lines"))],
        "dev": [PhotoFile("blue.png", tmp_path / "blue.png", ("two", "three"))],
    }


def test_csv_is_read(tmp_path):
    write_photos(tmp_path, ["red.jpg"])
    (tmp_path / "metadata.csv").write_text('file_name,text\nred.jpg,"red, and red"\n')
    found = read_photo_folder(tmp_path, dev_share=0.0)
    assert found["train"] == [PhotoFile("red.jpg", tmp_path / "red.jpg", ("red, and red",))]
    assert found["dev"] == []


@pytest.mark.parametrize("dev", ["dev", "validation"])
def test_a_folder_a_split_is_read(tmp_path, dev):
    write_jsonl_folder(tmp_path / "train", ["red.jpg", "green.png"])
    write_jsonl_folder(tmp_path / dev, ["blue.webp"])
    assert read_photo_folder(tmp_path) == {
        "train": [
            PhotoFile(f"train/{name}", tmp_path / "train" / name, tuple(CAPTIONS[name]))
            for name in ("red.jpg", "green.png")
        ],
        "dev": [
            PhotoFile(
                f"{dev}/blue.webp", tmp_path / dev / "blue.webp", tuple(CAPTIONS["blue.webp"])
            )
        ],
    }


def test_blank_captions_and_photos_without_captions_are_left_out_with_a_warning(tmp_path, caplog):
    folder = write_tsv_folder(tmp_path)
    write_photos(folder / "images", ["pink.jpg", "black.png"])
    with (folder / "captions.tsv").open("a") as table:
        table.write("red.jpg\t \npink.jpg\t\n")
    found = read_photo_folder(folder, dev_share=0.0)["train"]
    assert found == [photo(folder, name) for name in CAPTIONS]
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder}/captions.tsv: 2 blank captions are left out",
        f"{folder}/images: 2 photos have no captions and are left out",
    ]


def test_missing_photos_are_named(tmp_path):
    folder = write_tsv_folder(tmp_path)
    for name in ("red.jpg", "grey.bmp"):
        (folder / "images" / name).unlink()
    with pytest.raises(DatasetError, match=r"names 2 photos .*: red\.jpg, grey\.bmp$"):
        read_photo_folder(folder)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("captions.tsv", b"red.jpg\tred\nred.jpg red\n", "captions.tsv:2: no tab"),
        ("captions.tsv", b"", "captions.tsv has no captions"),
        ("captions.tsv", b"red.jpg\tr\xe9d\n", "is not UTF-8 text"),
        ("metadata.jsonl", b'{"file_name": "red.jpg"}', "metadata.jsonl:1: expected `file_name`"),
        ("metadata.jsonl", b'["red.jpg", "red"]', "metadata.jsonl:1: expected `file_name`"),
        ("metadata.jsonl", b'{"file_name": "red.jpg", "text": [1]}', "got {'file_name'"),
        ("metadata.jsonl", b'\n{"file_name"\n', "metadata.jsonl:2: not JSON"),
        ("metadata.csv", b"file,text\nred.jpg,red\n", "metadata.csv:2: expected `file_name`"),
        ("metadata.csv", b"file_name,text\nred.jpg\n", "metadata.csv:2: expected `file_name`"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path, name, text, message):
    write_photos(tmp_path, ["red.jpg"])
    (tmp_path / name).write_bytes(text)
    with pytest.raises(DatasetError, match=re.escape(message)):
        read_photo_folder(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"dev.txt": "red.jpg\nblack.jpg\n"}, "dev.txt names 1 photos without captions: black.jpg"),
        ({"dev.txt": "red.jpg\n", "train.txt": "red.jpg\ngreen.png"}, "in dev.txt: red.jpg"),
    ],
)
def test_split_files_that_contradict_the_table_are_refused(tmp_path, files, message):
    folder = write_tsv_folder(tmp_path)
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(DatasetError, match=re.escape(message)):
        read_photo_folder(folder)


def test_a_folder_without_a_table_and_no_folder_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"expected one of captions\.tsv, metadata\.jsonl"):
        read_photo_folder(tmp_path)
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        read_photo_folder(tmp_path / "nowhere")
