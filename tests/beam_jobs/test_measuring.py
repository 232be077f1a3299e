import time

import pytest

from beam_jobs import measuring
from beam_jobs.config import FetchConfig
from beam_jobs.image_decoder import EncodedImage
from beam_jobs.inputs.rows import InputRow, Problem
from beam_jobs.measuring import Measurement, Reading
from tests.images import good_images

JPEG = good_images()["rgb.jpg"]
OPEN = FetchConfig(allow_private_addresses=True, attempts=4)


def test_reading_counts_sizes_and_what_cannot_be_read(tmp_path, web):
    (tmp_path / "a.jpg").write_bytes(b"123")
    bad = InputRow("t.csv#row=1", problem=Problem("MissingUriError", "no URI"))
    missing = InputRow(web.url("missing.jpg"))
    measurement = Measurement(OPEN)
    rows = [InputRow(f"{tmp_path}/a.jpg"), bad, InputRow(web.url("photo.jpg")), missing]
    found = list(measurement.read(rows))
    assert [item.data for item in found if isinstance(item, EncodedImage)] == [b"123", JPEG]
    assert measurement.reading == Reading(
        4, 2, (3 + len(JPEG)) / 2, "t.csv#row=1: MissingUriError: no URI"
    )
    assert measurement.reading.unreadable_share == 0.5


def test_a_read_is_tried_once(web):
    measurement = Measurement(OPEN)
    list(measurement.read([InputRow(web.url("broken.jpg"))]))
    assert web.requests == {"/broken.jpg": 1}
    assert "HttpStatusError" in measurement.reading.first_error


def test_reading_stops_when_it_has_taken_long_enough(monkeypatch, web):
    monkeypatch.setattr(measuring, "LIMIT_SECS", 0.5)
    measurement = Measurement(OPEN.replace(max_reads_per_host=1))
    started_secs = time.monotonic()
    list(measurement.read(InputRow(web.url(f"slow.jpg/{at}")) for at in range(10_000)))
    assert time.monotonic() - started_secs < 60
    assert measurement.reading.images < 100


def test_nothing_read_is_no_share():
    assert Measurement(OPEN).reading == Reading(0, 0, 0.0, "")
    assert Reading(0, 0, 0.0, "").unreadable_share == pytest.approx(0.0)
