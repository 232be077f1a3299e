"""What the captioner's tests share: a toy bundle, its captioner, and encoded toy pictures."""

import io

import pytest
from PIL import Image

from model_lib.bundle import load_bundle
from model_lib.captioner import Captioner
from tests.toy import make_toy_bundle, toy_pixels


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_toy_bundle(str(tmp_path_factory.mktemp("bundles") / "toy"))


@pytest.fixture(scope="session")
def captioner(toy_bundle: str) -> Captioner:
    return load_bundle(toy_bundle)


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    """33 pictures of random tints as PNG: one more than the usual batch."""
    encoded = []
    for pixels in toy_pixels(33, seed=7):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "png")
        encoded.append(stream.getvalue())
    return encoded
