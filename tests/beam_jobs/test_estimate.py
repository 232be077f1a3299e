import dataclasses
from pathlib import Path

import pytest

from beam_jobs.config import JobConfig
from beam_jobs.estimate import Estimate, draw_sample, estimate, estimate_lines
from beam_jobs.inputs.rows import InputRow, Problem
from beam_jobs.measuring import Reading
from model_lib.errors import ConfigError
from tests.images import good_images

DOCS = Path(__file__).resolve().parents[2] / "docs" / "estimate.md"
EXAMPLE = Estimate(
    listed=10_050_000,
    images=10_000_000,
    reading=Reading(256, 2, 120_000.0, "gs://photos/17.jpg: FileNotFoundError: gone"),
    images_per_sec=58.0,
    is_measured=True,
    machines=20,
    start_up_secs=300.0,
    price_per_hour=0.1,
)
JPEG = good_images()["rgb.jpg"]


def rows(*uris: str) -> list[InputRow]:
    return [InputRow(uri) for uri in uris]


@pytest.fixture
def photos(tmp_path) -> list[str]:
    uris = [str(tmp_path / f"{number}.jpg") for number in range(20)]
    for uri in uris:
        Path(uri).write_bytes(JPEG)
    return uris


def config(toy_bundle, **settings) -> JobConfig:
    return JobConfig(input=("photos",), estimate=True, bundle=toy_bundle, **settings)


def test_the_example_in_the_docs_is_what_is_printed():
    assert "\n".join(estimate_lines(EXAMPLE)) in DOCS.read_text("utf-8")


def test_the_arithmetic_of_the_docs():
    assert EXAMPLE.num_bytes == pytest.approx(10_000_000 * 254 / 256 * 120_000)
    assert EXAMPLE.work_secs == pytest.approx(10_000_000 / (58 * 20))
    assert EXAMPLE.total_secs == pytest.approx(300 + 8620.69, abs=0.01)
    assert EXAMPLE.machine_hours == pytest.approx(20 * 8920.69 / 3600, abs=0.01)
    assert EXAMPLE.cost == pytest.approx(4.956, abs=0.001)
    text = DOCS.read_text("utf-8")
    for cell in ("= 1.19e12 B", "= 8,621 s", "= 8,921 s", "= 49.56 |", "= 4.96 |"):
        assert cell in text
    assert f"{EXAMPLE.num_bytes:.3g}" == "1.19e+12"


def test_without_a_price_there_is_no_cost():
    lines = list(estimate_lines(dataclasses.replace(EXAMPLE, price_per_hour=None, machines=1)))
    assert lines[-1] == "time      47 h 58 min on 1 machine: start-up and 47 h 53 min of work"


def test_a_sample_counts_all_and_draws_different_uris():
    uris = [f"{at % 700}.jpg" for at in range(1000)]
    sample = draw_sample(rows(*uris), 50)
    assert (sample.listed, sample.distinct, len(sample.rows)) == (1000, 700, 50)
    assert len({row.uri for row in sample.rows}) == 50
    assert draw_sample(rows(*reversed(uris)), 50) == sample
    assert draw_sample([], 50).distinct == 0


def test_every_uri_is_drawn_about_equally_often():
    drawn = draw_sample(rows(*(f"{at}.jpg" for at in range(10_000))), 1000).rows
    first_half = sum(int(row.uri.removesuffix(".jpg")) < 5000 for row in drawn)
    assert 440 <= first_half <= 560  # 500 with a deviation of 15


def test_speed_is_measured_with_the_real_model(toy_bundle, photos):
    bad = InputRow("list.csv#row=3", problem=Problem("MissingUriError", "no URI"))
    found = estimate(config(toy_bundle, batch_size=4), [*rows(*photos, photos[0], "none.jpg"), bad])
    assert (found.listed, found.images) == (23, 22)
    # 22 images: the first batch, and four that are timed; two are left over.
    assert found.reading.images == 20
    assert found.reading.mean_bytes == len(JPEG)
    assert 0 < found.images_per_sec < 100_000
    assert 0 < found.start_up_secs < 300
    assert found.is_measured


def test_less_than_two_batches_are_timed_again(toy_bundle, photos):
    found = estimate(config(toy_bundle, batch_size=16), rows(*photos))
    assert found.reading == Reading(36, 0, float(len(JPEG)), "")
    assert found.images_per_sec > 0


def test_a_rented_machine_has_a_longer_start(toy_bundle, photos):
    for changes in ({"machines": 2}, {"price_per_hour": 0.0}):
        assert estimate(config(toy_bundle, **changes), rows(*photos)).start_up_secs == 300.0


def test_a_speed_that_is_given_needs_no_model(photos):
    settings = config("/no/bundle", images_per_sec=50.0, machines=2, price_per_hour=3.0, limit=10)
    assert estimate(settings, rows(*photos, "none.jpg")) == Estimate(
        listed=21,
        images=10,
        reading=Reading(21, 1, float(len(JPEG)), found_error(settings, photos)),
        images_per_sec=50.0,
        is_measured=False,
        machines=2,
        start_up_secs=300.0,
        price_per_hour=3.0,
    )


def found_error(settings: JobConfig, photos: list[str]) -> str:
    error = estimate(settings, rows("none.jpg")).reading.first_error
    assert error.startswith("none.jpg: FileNotFoundError: ")
    return error


@pytest.mark.parametrize(
    ("uris", "message"),
    [
        ([], "no images were found in --input"),
        (["none.jpg"], "none of 2 images of --input could be read, so their speed cannot be"),
    ],
)
def test_what_cannot_be_estimated_is_said(toy_bundle, uris, message):
    with pytest.raises(ConfigError, match=message):
        estimate(config(toy_bundle), rows(*uris))
