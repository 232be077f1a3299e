"""Which photos are shown, in which order, with what."""

import base64
import io
import logging

import pytest
from PIL import Image

from train.candidates import saved_candidate
from train.comparison_photos import ModelCaption, choose_photos
from train.evaluation_data import EvaluationData
from train.metrics import measure_captions

REFERENCES = {"a.png": ["a black dog"], "b.png": ["a red ball"], "c.png": ["two boats at sea"]}
FIRST = {"a.png": "a black dog", "b.png": "a blue ball", "c.png": "two boats at sea"}
SECOND = {"a.png": "zebra", "b.png": "a ball", "c.png": "two boats at sea"}


def encoded(size):
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, "PNG")
    return file.getvalue()


def chosen(models, count=3, photos=None):
    candidates = [
        saved_candidate(str(number), captions, "x") for number, captions in enumerate(models)
    ]
    data = EvaluationData(REFERENCES, candidates, {}, lambda names: photos or {})
    scores = measure_captions(REFERENCES, models, java=False)
    return choose_photos(data, scores, count), scores


def test_photos_where_captions_differ_most_come_first():
    photos, scores = chosen([FIRST, SECOND])
    assert [photo.image_id for photo in photos] == ["a.png", "b.png", "c.png"]
    first, last = photos[0], photos[2]
    assert first.references == ("a black dog",)
    assert first.captions == (
        ModelCaption("0", "a black dog", scores[0].cider["a.png"], True),
        ModelCaption("1", "zebra", 0.0, False),
    )
    assert first.spread == scores[0].cider["a.png"] > photos[1].spread > last.spread == 0.0
    assert [one.best for one in last.captions] == [False, False]
    assert [photo.image_id for photo in chosen([FIRST, SECOND], count=1)[0]] == ["a.png"]


def test_of_one_model_the_lowest_cider_comes_first():
    photos, scores = chosen([SECOND])
    values = [scores[0].cider[photo.image_id] for photo in photos]
    assert values == sorted(values)
    assert [photo.image_id for photo in photos] == ["a.png", "b.png", "c.png"]


def test_previews_are_small_and_keep_their_shape(caplog):
    sizes = {"a.png": encoded((800, 400)), "b.png": encoded((30, 40)), "c.png": b"no picture"}
    with caplog.at_level(logging.WARNING, "train"):
        photos, _ = chosen([FIRST, SECOND], photos=sizes)
    assert [(photo.width, photo.height) for photo in photos] == [(360, 180), (30, 40), (0, 0)]
    kind, _, data = photos[0].preview.partition(",")
    assert kind == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (image.format, image.size) == ("JPEG", (360, 180))
    assert image.getpixel((5, 5)) == pytest.approx((255, 0, 0), abs=4)
    assert photos[2].preview == ""
    assert "c.png has no preview" in caplog.text
