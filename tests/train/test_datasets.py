"""Captioned photos in one form: a small COCO that TFDS itself wrote, and a folder."""

import hashlib
import io
import itertools

import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tests.train.coco import write_coco
from tests.train.folders import CAPTIONS, write_tsv_folder
from train.datasets import CaptionDataset, CaptionedPhoto, open_dataset
from train.errors import DatasetError


def jpeg(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (24, 16), colour).save(buffer, "JPEG")
    return buffer.getvalue()


COCO_PHOTOS = {
    "train": [(f"COCO_train2014_{n:012}.jpg", jpeg((n, 0, 0))) for n in range(5)],
    "val": [("COCO_val2014_000000000042.jpg", jpeg("blue"))],
    "test": [("COCO_val2014_000000000073.jpg", jpeg("green"))],
}


def coco_photos():
    return {
        split: [
            (name, encoded, [f"caption {number} of {name}" for number in range(5)])
            for name, encoded in rows
        ]
        for split, rows in COCO_PHOTOS.items()
    }


@pytest.fixture(scope="module")
def coco_dir(tmp_path_factory):
    return write_coco(tmp_path_factory.mktemp("tfds"), coco_photos())


def test_coco_gives_all_five_captions_and_the_bytes_as_they_were_written(coco_dir):
    dataset = open_dataset("coco_captions", "train", data_dir=coco_dir)
    assert sorted(dataset, key=lambda photo: photo.image_id) == [
        CaptionedPhoto(name, tuple(f"caption {n} of {name}" for n in range(5)), encoded)
        for name, encoded in COCO_PHOTOS["train"]
    ]


def test_coco_dev_is_the_val_split(coco_dir):
    dataset = open_dataset("coco_captions", "dev", data_dir=coco_dir, first_caption_only=True)
    [(name, encoded)] = COCO_PHOTOS["val"]
    assert list(dataset) == [CaptionedPhoto(name, (f"caption 0 of {name}",), encoded)]


def test_ids_captions_and_photos_have_one_order_that_stays(coco_dir):
    first, second = (open_dataset("coco_captions", "train", data_dir=coco_dir) for _ in range(2))
    assert first.image_ids == second.image_ids
    assert len(first) == 5
    for photo, image_id, captions, encoded in zip(
        second, first.image_ids, first.captions, first.photos(), strict=True
    ):
        assert photo == CaptionedPhoto(image_id, captions, encoded)


def test_coco_that_another_training_prepared_meanwhile_is_taken(tmp_path, monkeypatch):
    def lose_the_race(builder):
        monkeypatch.undo()  # the other training prepares it as TFDS does
        write_coco(tmp_path, coco_photos())
        raise OSError(f"{builder.data_dir} already exists")

    (tmp_path / "downloads").mkdir()  # as after a download: the network is not tried
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lose_the_race)
    dataset = open_dataset("coco_captions", "dev", data_dir=str(tmp_path))
    assert list(dataset.image_ids) == [name for name, _ in COCO_PHOTOS["val"]]


def test_coco_that_is_not_there_and_cannot_be_downloaded_is_a_named_error(tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DatasetError, match=r"coco_captions is not prepared in .*--data_dir"):
        open_dataset("coco_captions", "dev", data_dir=str(tmp_path))


@pytest.fixture
def folder(tmp_path):
    return write_tsv_folder(tmp_path / "photos", dev=["grey.bmp"])


@pytest.fixture
def data_dir(tmp_path):
    return str(tmp_path / "tfds")


def test_a_folder_keeps_its_order_and_the_bytes_of_every_format(folder, data_dir):
    names = ["red.jpg", "green.png", "blue.webp"]
    dataset = open_dataset(str(folder), "train", data_dir=data_dir)
    assert dataset.image_ids == names
    assert dataset.captions == [tuple(CAPTIONS[name]) for name in names]
    assert list(dataset.photos()) == [(folder / "images" / name).read_bytes() for name in names]
    assert open_dataset(str(folder), "dev", data_dir=data_dir).image_ids == ["grey.bmp"]


def test_limit_and_first_caption_only(folder, data_dir):
    dataset = open_dataset(
        str(folder), "train", data_dir=data_dir, first_caption_only=True, limit=2
    )
    assert dataset.image_ids == ["red.jpg", "green.png"]
    assert dataset.captions == [("a red square",), ("a green square",)]
    assert len(list(dataset.photos())) == len(dataset) == 2


def test_photos_can_be_read_in_part_and_again(folder, data_dir):
    dataset = open_dataset(str(folder), "train", data_dir=data_dir)
    first = list(itertools.islice(dataset.photos(), 1))
    assert first == list(dataset.photos())[:1]


def test_fingerprint_is_of_ids_and_photos_and_not_of_captions(folder, data_dir):
    def fingerprint(**options):
        return open_dataset(str(folder), "train", data_dir=data_dir, **options).fingerprint()

    digest = hashlib.sha256()
    for name in ("red.jpg", "green.png", "blue.webp"):
        for part in (name.encode(), (folder / "images" / name).read_bytes()):
            digest.update(hashlib.sha256(part).digest())
    before = fingerprint()
    assert before == digest.hexdigest()
    assert fingerprint(first_caption_only=True) == before
    table = folder / "captions.tsv"
    table.write_text(table.read_text().replace("a red square", "a scarlet square"))
    assert fingerprint() == before
    assert fingerprint(limit=2) != before
    Image.new("RGB", (40, 30), "black").save(folder / "images" / "red.jpg")
    assert fingerprint() != before


def test_damaged_prepared_data_is_a_named_error(folder, data_dir):
    dataset = open_dataset(str(folder), "train", data_dir=data_dir)
    [shard] = dataset._builder.data_path.glob("*train.tfrecord*")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match=r"cannot be read .*; delete this folder"):
        open_dataset(str(folder), "train", data_dir=data_dir)


def test_a_split_that_is_not_there_is_refused(coco_dir, folder):
    with pytest.raises(DatasetError, match="no split 'test'; there are train and dev"):
        open_dataset(str(folder), "test")
    builder = tfds.builder("coco_captions", data_dir=coco_dir)
    with pytest.raises(DatasetError, match="has no split 'restval'"):
        CaptionDataset(builder, "restval")


def test_reading_does_not_wait_for_a_search_for_buffer_sizes(coco_dir, monkeypatch):
    read = tfds.core.DatasetBuilder.as_dataset
    opened = []

    def as_dataset(*arguments, **settings):
        opened.append(read(*arguments, **settings))
        return opened[-1]

    monkeypatch.setattr(tfds.core.DatasetBuilder, "as_dataset", as_dataset)
    open_dataset("coco_captions", "dev", data_dir=coco_dir)
    assert [dataset.options().autotune.enabled for dataset in opened] == [False]
