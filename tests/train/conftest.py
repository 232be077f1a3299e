"""Captioned photos of shapes as data sets, and a small encoder, made once for all tests."""

import pytest

from model_lib.encoder import load_encoder
from tests.photo_folders import write_shape_photos
from tests.toy import make_toy_encoder


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """A folder of 20 train and 4 dev photos."""
    return write_shape_photos(tmp_path_factory.mktemp("shapes") / "photos")


@pytest.fixture(scope="session")
def tfds_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("tfds"))


@pytest.fixture(scope="session")
def shape_data(shapes, tfds_dir):
    """The splits of `shapes` as data sets, by name."""
    from train.datasets import open_dataset

    return {
        split: open_dataset(str(shapes), split, data_dir=tfds_dir) for split in ("train", "dev")
    }


@pytest.fixture(scope="session")
def encoder_path(tmp_path_factory):
    return make_toy_encoder(str(tmp_path_factory.mktemp("encoder") / "toy.keras"))


@pytest.fixture(scope="session")
def encoder(encoder_path):
    """Images [B,32,32,3] -> features [B,16,8]."""
    return load_encoder(encoder_path)
