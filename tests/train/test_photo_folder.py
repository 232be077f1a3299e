"""The TFDS builder of photo folders: prepared once, and again when the folder changes."""

import os

import pytest
import tensorflow_datasets as tfds

from tests.train.folders import CAPTIONS, write_photos, write_tsv_folder
from train.errors import DatasetError
from train.photo_folder import CaptionedPhotoFolder, prepare_photo_folder


@pytest.fixture
def folder(tmp_path):
    return write_tsv_folder(tmp_path / "photos", dev=["red.jpg"])


def test_tfds_itself_reads_what_was_prepared(folder, tmp_path):
    builder = prepare_photo_folder(folder, str(tmp_path / "tfds"))
    again = tfds.builder_from_directory(str(builder.data_path))
    assert again.info.full_name == builder.info.full_name
    assert {name: split.num_examples for name, split in again.info.splits.items()} == {
        "train": 3,
        "dev": 1,
    }
    [example] = again.as_dataset(split="dev").as_numpy_iterator()
    assert example["image"].shape == (30, 40, 3)
    assert example["image/filename"] == b"red.jpg"
    assert [text.decode() for text in example["captions"]["text"]] == CAPTIONS["red.jpg"]


def test_an_unchanged_folder_is_prepared_once(folder, tmp_path):
    first = prepare_photo_folder(folder, str(tmp_path / "tfds"))
    shards = sorted(first.data_path.glob("*.tfrecord*"))
    before = [shard.stat().mtime for shard in shards]
    second = prepare_photo_folder(folder, str(tmp_path / "tfds"))
    assert second.data_path == first.data_path
    assert [shard.stat().mtime for shard in shards] == before


def repaint(folder):
    (folder / "images" / "red.jpg").write_bytes((folder / "images" / "green.png").read_bytes())


def touch(folder):
    os.utime(folder / "images" / "red.jpg", (1, 1))


def rewrite(folder):
    table = folder / "captions.tsv"
    table.write_text(table.read_text().replace("a red square", "a scarlet square"))


def move(folder):
    (folder / "dev.txt").write_text("red.jpg\ngreen.png\n")
    (folder / "train.txt").write_text("blue.webp\ngrey.bmp\n")


@pytest.mark.parametrize("change", [repaint, touch, rewrite, move])
def test_a_changed_folder_is_prepared_anew(folder, tmp_path, change):
    first = prepare_photo_folder(folder, str(tmp_path / "tfds"))
    change(folder)
    second = prepare_photo_folder(folder, str(tmp_path / "tfds"))
    assert second.data_path != first.data_path
    assert first.is_prepared()
    assert second.is_prepared()


def test_two_that_prepare_the_same_folder_share_what_was_first(folder, tmp_path, monkeypatch):
    generate = CaptionedPhotoFolder._generate_examples
    others = []

    def generate_while_another_prepares(self, photos):
        yield from generate(self, photos)
        if not others:
            monkeypatch.setattr(CaptionedPhotoFolder, "_generate_examples", generate)
            others.append(prepare_photo_folder(folder, str(tmp_path / "tfds")))

    monkeypatch.setattr(CaptionedPhotoFolder, "_generate_examples", generate_while_another_prepares)
    builder = prepare_photo_folder(folder, str(tmp_path / "tfds"))
    [other] = others
    assert builder.data_path == other.data_path
    assert builder.info.splits["train"].num_examples == 3
    names = [example["image/filename"] for example in tfds.as_numpy(builder.as_dataset("dev"))]
    assert names == [b"red.jpg"]
    assert [path.name for path in builder.data_path.parent.iterdir()] == ["1.0.0"]


def test_an_empty_split_is_refused(tmp_path):
    write_photos(tmp_path / "images", ["red.jpg"])
    (tmp_path / "captions.tsv").write_text("red.jpg\tred\n")
    with pytest.raises(DatasetError, match="no photo is left for train"):
        prepare_photo_folder(tmp_path, str(tmp_path / "tfds"))


def test_a_place_that_cannot_be_written_is_named(folder, tmp_path):
    (tmp_path / "tfds").write_text("a file, not a folder")
    with pytest.raises(DatasetError, match=r"could not be prepared in .*tfds"):
        prepare_photo_folder(folder, str(tmp_path / "tfds"))


def test_nothing_is_printed_to_standard_output(folder, tmp_path, capsys):
    prepare_photo_folder(folder, str(tmp_path / "tfds"))
    assert capsys.readouterr().out == ""
