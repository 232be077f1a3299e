"""Cached features: those of the encoder, computed once, and again only when they must be."""

import json
import logging
import os
from concurrent import futures

import numpy as np
import pytest

from model_lib.config import PreprocessConfig
from model_lib.preprocessing import Preprocessor
from tests.photo_folders import write_shape_photos
from train import features
from train.augmentation import VIEWS_VERSION, photo_views
from train.datasets import CaptionedPhoto, open_dataset
from train.errors import DatasetError
from train.features import cached_features, encoder_fingerprint

PREPROCESS = PreprocessConfig(image_size=32)
VIEWS = 3


class Photos:
    """The photos of a data set, by hand: what `cached_features` needs of one."""

    def __init__(self, photos, key="key"):
        self.image_ids = [photo.image_id for photo in photos]
        self._photos = photos
        self._key = key
        self.num_read = 0

    def photos(self):
        for photo in self._photos:
            self.num_read += 1
            yield photo.encoded

    def fingerprint(self):
        return self._key


@pytest.fixture(scope="module")
def data(shape_data):
    return shape_data["train"]


@pytest.fixture(scope="module")
def cache(data, encoder, tmp_path_factory):
    """A folder of caches that holds the features of the train photos."""
    folder = tmp_path_factory.mktemp("cache") / "features"
    cached_features(data, encoder, PREPROCESS, VIEWS, str(folder), batch_size=7)
    return folder


def folders(cache):
    return {path.name for path in cache.iterdir()}


def test_features_are_those_of_the_encoder_in_16_bits(data, encoder, cache):
    found = cached_features(data, encoder, PREPROCESS, VIEWS, str(cache))
    assert (found.shape, found.dtype) == ((20, VIEWS, 16, 8), np.float16)
    preprocessor = Preprocessor(PREPROCESS)
    pixels = np.stack([photo_views(preprocessor, photo, VIEWS) for photo in data.photos()])
    expected = encoder.predict(pixels.reshape(-1, 32, 32, 3).astype(np.float32), verbose=0)
    np.testing.assert_allclose(
        found.reshape(expected.shape), expected.astype(np.float16), rtol=2e-3, atol=1e-4
    )
    assert expected.std() > 0.1


def test_the_second_call_computes_nothing_and_maps_the_file(data, encoder, cache, monkeypatch):
    def fail(*_):
        raise AssertionError("the encoder ran again")

    before = {path: path.stat().st_mtime_ns for path in cache.rglob("features.npy")}
    monkeypatch.setattr(features, "freeze", fail)
    first = cached_features(data, encoder, PREPROCESS, VIEWS, str(cache))
    assert isinstance(first, np.memmap)
    assert not first.flags.writeable
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("features.npy")} == before


@pytest.mark.parametrize("change", ["weights", "preprocess", "views", "photos"])
def test_whatever_changes_the_features_changes_the_place(
    change, data, encoder, cache, shape_data, tmp_path, caplog
):
    arguments = {"dataset": data, "encoder": encoder, "preprocess": PREPROCESS, "num_views": VIEWS}
    expected = {"weights": "encoder", "views": "num_views"}.get(change, change)
    if change == "weights":
        original = encoder.get_weights()
        encoder.set_weights([weight * 1.001 for weight in original])
    elif change == "preprocess":
        arguments["preprocess"] = PreprocessConfig(image_size=32, fit="crop")
    elif change == "views":
        arguments["num_views"] = 1
    else:
        arguments["dataset"] = shape_data["dev"]
    before = folders(cache)
    with caplog.at_level(logging.INFO, "train.features"):
        cached_features(**arguments, cache_dir=str(cache))
    if change == "weights":
        encoder.set_weights(original)
    assert len(folders(cache) - before) == 1
    assert any(message.endswith(f"not used: other {expected}") for message in caplog.messages)
    # What was there is there still, and is found again.
    cached_features(data, encoder, PREPROCESS, VIEWS, str(cache))


def test_one_changed_photo_is_noticed(tmp_path, encoder):
    folder = write_shape_photos(tmp_path / "photos", count=8)
    cache, tfds_dir = tmp_path / "cache", str(tmp_path / "tfds")
    before = open_dataset(str(folder), "train", data_dir=tfds_dir)
    first = np.array(cached_features(before, encoder, PREPROCESS, 1, str(cache)))
    images = folder / "images"
    (images / "red_circle_black.png").write_bytes((images / "green_square_black.png").read_bytes())
    after = open_dataset(str(folder), "train", data_dir=tfds_dir)
    second = cached_features(after, encoder, PREPROCESS, 1, str(cache))
    changed = (first != second).any(axis=(1, 2, 3))
    assert np.flatnonzero(changed).tolist() == [0]
    assert len(folders(cache)) == 2


def test_an_interrupted_computation_goes_on_where_it_stopped(
    data, encoder, cache, tmp_path, monkeypatch
):
    class Killed(Exception):
        pass

    photos = list(data)

    class Interrupted(Photos):
        def photos(self):
            for number, photo in enumerate(super().photos()):
                if number == 17:
                    raise Killed
                yield photo

    monkeypatch.setattr(features, "_PHOTOS_PER_SAVE", 4)
    monkeypatch.setattr(features, "_PHOTOS_AHEAD", 2)
    settings = (encoder, PREPROCESS, VIEWS, str(tmp_path))
    with pytest.raises(Killed):
        cached_features(Interrupted(photos), *settings, batch_size=5)
    [folder] = tmp_path.iterdir()
    done = int((folder / "photos_done.txt").read_text())
    assert 8 <= done <= 16
    assert not (folder / "key.json").exists()
    # What is durable is not computed again: spoil it, and the spoilt numbers stay.
    array = np.load(folder / "features.npy", mmap_mode="r+")
    array[:done] = -1
    array.flush()
    found = cached_features(Photos(photos), *settings, batch_size=5)
    expected = cached_features(data, encoder, PREPROCESS, VIEWS, str(cache))
    assert (found[:done] == -1).all()
    np.testing.assert_array_equal(found[done:], expected[done:])


def test_a_photo_that_cannot_be_read_is_named(encoder, data, tmp_path):
    photos = [*data, CaptionedPhoto("torn.jpg", ("a",), b"\xff\xd8\xff\xe0 torn")]
    with pytest.raises(DatasetError, match=r"torn\.jpg: \w+Error: .*; replace the photo"):
        cached_features(Photos(photos), encoder, PREPROCESS, 1, str(tmp_path))


@pytest.mark.parametrize("damage", ["cut", "shape", "missing"])
def test_a_damaged_cache_is_computed_again(damage, data, encoder, tmp_path, caplog):
    settings = (data, encoder, PREPROCESS, 1, str(tmp_path))
    expected = np.array(cached_features(*settings))
    [path] = tmp_path.rglob("features.npy")
    if damage == "cut":
        os.truncate(path, path.stat().st_size // 2)
    elif damage == "shape":
        np.save(path, expected[:3])
    else:
        path.unlink()
    np.testing.assert_array_equal(cached_features(*settings), expected)
    assert "is damaged" in caplog.text


def test_memory_is_bounded_by_reading_few_photos_ahead(data, encoder, tmp_path, monkeypatch):
    photos = Photos(list(data))
    seen = []
    monkeypatch.setattr(features, "_PHOTOS_AHEAD", 3)
    for batch in features._view_batches(photos, Preprocessor(PREPROCESS), 0, 2, 4):
        seen.append((len(batch), photos.num_read))
    assert [count for count, _ in seen] == [4] * 10
    assert max(read - 2 * (n + 1) for n, (_, read) in enumerate(seen)) <= 3


def test_the_key_says_what_it_was_made_of(data, encoder, tmp_path):
    cached_features(data, encoder, PREPROCESS, VIEWS, str(tmp_path))
    [path] = tmp_path.rglob("key.json")
    assert json.loads(path.read_text()) == {
        "encoder": encoder_fingerprint(encoder),
        "preprocess": PREPROCESS.to_dict(),
        "photos": data.fingerprint(),
        "num_views": VIEWS,
        "views_version": VIEWS_VERSION,
    }


def test_one_training_at_a_time_computes_a_cache(data, encoder, tmp_path):
    settings = (data, encoder, PREPROCESS, 1, str(tmp_path))
    expected = np.array(cached_features(*settings))
    [folder] = tmp_path.iterdir()
    (folder / "key.json").unlink()
    np.save(folder / "features.npy", np.zeros_like(expected))
    with futures.ThreadPoolExecutor(1) as pool:
        with features._locked(folder):
            other = pool.submit(cached_features, *settings)
            with pytest.raises(futures.TimeoutError):
                other.result(timeout=0.3)
            assert not (folder / "key.json").exists()
        np.testing.assert_array_equal(other.result(timeout=300), expected)
