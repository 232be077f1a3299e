"""Pictures of the model's attention, by a real bundle, and everything that may be in the way."""

import base64
import dataclasses
import io
import logging
from typing import Any

import pytest
from PIL import Image

from beam_jobs.explaining.layout import PictureConfig, lay_out
from beam_jobs.report.attention import AttentionPicture, attention_pictures
from beam_jobs.report.data import CaptionedPhoto
from model_lib.bundle import load_bundle, read_bundle_info
from tests.beam_jobs.run_folder import caption_row
from tests.images import good_images

IMAGES = {name: good_images()[name] for name in ("rgb.jpg", "rgba.png", "lossy.webp")}


@pytest.fixture(scope="module")
def manifest(toy_bundle) -> dict[str, Any]:
    info = read_bundle_info(toy_bundle)
    return {
        "bundle": {"path": toy_bundle, "name": info.name, "fingerprint": info.fingerprint},
        "decode": {**info.decode.to_dict(), "max_length_tokens": 6},
        "settings": {"precision": "float32"},
    }


@pytest.fixture(scope="module")
def photos(toy_bundle, manifest) -> list[CaptionedPhoto]:
    captioner = load_bundle(toy_bundle)
    decode = captioner.info.decode.replace(max_length_tokens=6)
    captions = captioner.caption_bytes(list(IMAGES.values()), decode)
    rows = [
        caption_row(name, data, caption=best.text)
        for (name, data), [best] in zip(IMAGES.items(), captions, strict=True)
    ]
    return [CaptionedPhoto.from_row(row) for row in rows]


def test_each_photo_has_its_picture(photos, manifest):
    found = attention_pictures(photos, manifest, IMAGES.__getitem__)
    assert [picture.photo for picture in found] == photos
    for picture in found:
        prefix, text = picture.data_uri.split(",", 1)
        assert prefix == "data:image/jpeg;base64"
        drawn = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
        words = len(picture.photo.caption.split())
        expected = lay_out(picture.photo.caption, words, (48, 32), PictureConfig(panel_width=180))
        assert drawn.size == (picture.width, picture.height) == expected.size
        assert picture.problem == ""


def test_one_photo_s_trouble_costs_no_other(photos, manifest):
    gone = dataclasses.replace(photos[0], uri="gone.jpg")
    changed = dataclasses.replace(photos[1], image_sha256="0" * 64)
    other = dataclasses.replace(photos[2], caption="something else")
    found = attention_pictures([gone, changed, other, photos[0]], manifest, IMAGES.__getitem__)
    assert found[0] == AttentionPicture(gone, problem="cannot be drawn (KeyError)")
    assert found[1].problem == "the photo has changed since it was captioned"
    assert found[2].problem == f"the model says here: {photos[2].caption}"
    assert found[3].data_uri


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"bundle": {"path": "none", "fingerprint": "f"}}, "BundleError"),
        ({"bundle": {"fingerprint": "f" * 64}}, "OtherModelError"),
        ({"decode": {"beam": 3}}, "ConfigError"),
        ({"decode": None}, "TypeError"),
        ({"settings": {"precision": "float8"}}, "ConfigError"),
    ],
)
def test_without_the_run_s_bundle_the_page_goes_on(photos, manifest, changes, problem, caplog):
    with caplog.at_level(logging.WARNING, "beam_jobs"):
        found = attention_pictures(photos, {**manifest, **changes}, pytest.fail)
    reason = f"the bundle cannot be loaded here ({problem})"
    assert found == [AttentionPicture(photo, problem=reason) for photo in photos]
    assert caplog.messages[0].startswith("the report has no attention pictures: ")


def test_where_none_is_asked_for_nothing_is_loaded():
    assert attention_pictures([], {}, pytest.fail) == []
