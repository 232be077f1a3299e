import hashlib
import json
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_jobs.config import FetchConfig
from beam_jobs.inputs.rows import InputRow, Problem
from beam_jobs.transforms import CaptionImages, ReadImages
from model_lib.bundle import load_bundle
from model_lib.config import DecodeConfig
from model_lib.errors import BundleError
from tests.images import HEIGHT, WIDTH, good_images

DECODE = DecodeConfig(method="beam", num_captions=2, max_length_tokens=6)
NAMES = ("rgb.jpg", "rgba.png", "lossy.webp", "palette.gif", "rgb.bmp")
FORMATS = {"jpg": "jpeg"}


def expected_rows(bundle: str, images: dict[str, bytes]) -> list[dict[str, Any]]:
    captioner = load_bundle(bundle)
    found = captioner.caption_bytes(list(images.values()), DECODE)
    ending = {uri: uri.rsplit(".", 1)[-1] for uri in images}
    return [
        {
            "uri": uri,
            "image_sha256": hashlib.sha256(data).hexdigest(),
            "caption": captions[0].text,
            "score": round(captions[0].score, 4),
            "candidates": [
                {"caption": c.text, "log_prob": round(c.log_prob, 4), "score": round(c.score, 4)}
                for c in captions
            ],
            "confidence": None,
            "num_tokens": captions[0].num_tokens,
            "finished": captions[0].finished,
            "sentence": None,
            "low_confidence": None,
            "width": WIDTH,
            "height": HEIGHT,
            "format": FORMATS.get(ending[uri], ending[uri]),
            "size_bytes": len(data),
            "model_name": "toy",
            "model_fingerprint": captioner.info.fingerprint,
            "decode_config": DECODE.to_json(),
            "run_id": "r1",
        }
        for (uri, data), captions in zip(images.items(), found, strict=True)
    ]


def without_time(row: dict[str, Any]) -> dict[str, Any]:
    """Drops the time; rounds the scores, whose last digits depend on the batch."""
    row = {name: value for name, value in row.items() if name not in ("captioned_at", "failed_at")}
    if "score" in row:
        row["score"] = round(row["score"], 4)
        row["candidates"] = [
            {name: value if name == "caption" else round(value, 4) for name, value in c.items()}
            for c in row["candidates"]
        ]
    return row


@pytest.mark.parametrize("share_model", [False, True])
def test_uris_become_rows_of_captions_and_failures(toy_bundle, tmp_path, web, share_model):
    images = {str(tmp_path / name): good_images()[name] for name in NAMES}
    for path, data in images.items():
        with open(path, "wb") as file:
            file.write(data)
    images[web.url("photo.jpg")] = good_images()["rgb.jpg"]
    (tmp_path / "empty.jpg").touch()
    bad = [web.url("missing.jpg"), web.url("garbage.jpg"), str(tmp_path / "empty.jpg")]
    failures = [
        (bad[0], "read", "HttpStatusError", "HTTP 404 Not Found", 1, False, "r1"),
        (bad[1], "decode", "UnknownImageFormatError", 1, False, "r1"),
        (bad[2], "decode", "EmptyImageError", 1, False, "r1"),
    ]

    def in_short(row: dict[str, Any]) -> tuple[Any, ...]:
        words = {name: value for name, value in row.items() if name != "failed_at"}
        if row["stage"] == "decode":
            del words["error_message"]
        return tuple(words.values())

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        results = (
            pipeline
            | beam.Create([*images, *bad])
            | CaptionImages(
                toy_bundle,
                decode=DECODE,
                batch_size=4,
                share_model=share_model,
                fetch=FetchConfig(timeout_secs=5, attempts=1, allow_private_addresses=True),
                run_id="r1",
            )
        )
        captions = results.captions | "Timeless" >> beam.Map(without_time)
        assert_that(captions, equal_to(expected_rows(toy_bundle, images)), "captions")
        assert_that(results.failures | beam.Map(in_short), equal_to(failures), "failures")


def test_bytes_with_keys_become_rows_too(toy_bundle):
    images = {name: good_images()[name] for name in NAMES}
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        captions, failures = (
            pipeline
            | beam.Create([*images.items(), ("broken", b"not an image")])
            | CaptionImages(toy_bundle, decode=DECODE, run_id="r1")
        )
        rows = captions | "Timeless" >> beam.Map(without_time)
        assert_that(rows, equal_to(expected_rows(toy_bundle, images)), "captions")
        broken = failures | beam.Map(lambda row: (row["uri"], row["stage"], row["error_type"]))
        assert_that(broken, equal_to([("broken", "decode", "UnknownImageFormatError")]), "failures")


def test_input_rows_carry_their_columns_into_both_tables(toy_bundle, tmp_path):
    (tmp_path / "a.jpg").write_bytes(good_images()["rgb.jpg"])
    (tmp_path / "b.jpg").write_bytes(b"no image")
    torn = InputRow("t.csv#row=3", (3, None), problem=Problem("BadRowError", "torn"))
    inputs = [
        InputRow(str(tmp_path / "a.jpg"), (1, "x")),
        InputRow(str(tmp_path / "b.jpg"), (2, "y")),
        InputRow(str(tmp_path / "gone.jpg"), (4, "z")),
        torn,
    ]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        captions, failures = (
            pipeline
            | beam.Create(inputs)
            | CaptionImages(toy_bundle, decode=DECODE, run_id="r1", carried_columns=["n", "s"])
        )
        kept = captions | "Kept" >> beam.Map(lambda row: (row["uri"], row["n"], row["s"]))
        assert_that(kept, equal_to([(inputs[0].uri, 1, "x")]), "captions")
        lost = failures | beam.Map(lambda row: (row["uri"], row["error_type"], row["n"], row["s"]))
        expected = [
            (inputs[1].uri, "UnknownImageFormatError", 2, "y"),
            (inputs[2].uri, "FileNotFoundError", 4, "z"),
            ("t.csv#row=3", "BadRowError", 3, None),
        ]
        assert_that(lost, equal_to(expected), "failures")


@pytest.mark.parametrize(("most_in_batch", "ahead"), [(8, 128), (150, 150)])
def test_a_whole_batch_is_read_ahead_before_the_first_image_goes_on(tmp_path, most_in_batch, ahead):
    uris = [str(tmp_path / f"{number}.jpg") for number in range(ahead + 2)]
    for uri in uris:
        (tmp_path / uri).write_bytes(uri.encode())
    step = ReadImages(FetchConfig(), most_in_batch)
    step.setup()
    try:
        step.start_bundle()
        given = [[image.data for image in step.process(uri)] for uri in uris]
        assert given == [[]] * ahead + [[uri.encode()] for uri in uris[:2]]
        rest = [value.value.data for value in step.finish_bundle()]
    finally:
        step.teardown()
    assert rest == [uri.encode() for uri in uris[2:]]


def test_a_failure_that_may_pass_says_so(toy_bundle, web):
    fetch = FetchConfig(timeout_secs=5, attempts=1, allow_private_addresses=True)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _, failures = (
            pipeline
            | beam.Create([web.url("broken.jpg"), web.url("forbidden.jpg")])
            | CaptionImages(toy_bundle, fetch=fetch)
        )
        found = failures | beam.Map(lambda row: (row["error_message"][:8], row["transient"]))
        assert_that(found, equal_to([("HTTP 503", True), ("HTTP 403", False)]))


def test_the_bundle_s_decode_settings_are_the_default(toy_bundle):
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        captions, _ = (
            pipeline | beam.Create([("a", good_images()["rgb.jpg"])]) | CaptionImages(toy_bundle)
        )
        settings = captions | beam.Map(lambda row: json.loads(row["decode_config"]))
        assert_that(settings, equal_to([DecodeConfig(max_length_tokens=12).to_dict()]))


def test_a_missing_bundle_is_noticed_before_any_work(tmp_path):
    with pytest.raises(BundleError):
        CaptionImages(str(tmp_path))
