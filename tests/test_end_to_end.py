"""The whole way, as a user goes it: photos -> training -> bundle -> job -> tables."""

import json

import pyarrow.dataset as ds
import pytest

from beam_jobs import caption_images
from model_lib.bundle import read_bundle_info
from tests.images import BROKEN_IMAGE_ERRORS, broken_images, good_images
from tests.photo_folders import write_shape_photos
from tests.toy import make_toy_encoder
from train import train_captioner

JOB_FLAGS = ["--runner", "FnApiRunner", "--quiet"]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return write_shape_photos(tmp_path_factory.mktemp("shapes") / "photos")


@pytest.fixture(scope="module")
def bundle(shapes, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("training")
    flags = ["--data", shapes, "--output", folder / "run", "--data_dir", folder / "tfds"]
    flags += ["--cache_dir", folder / "cache"]
    flags += ["--encoder", make_toy_encoder(str(folder / "encoder.keras")), "--name", "shapes"]
    flags += ["--initial_state", "image", "--width", 32, "--epochs", 40, "--batch_size", 8]
    flags += ["--learning_rate", 0.02, "--warmup_steps", 10, "--patience", 40]
    assert train_captioner.main([str(flag) for flag in flags]) == 0
    return str(folder / "run" / "bundle")


def rows_of(output, table):
    return {row["uri"]: row for row in ds.dataset(str(output / table)).to_table().to_pylist()}


def test_a_trained_toy_captions_its_photos_and_loses_no_input(shapes, bundle, tmp_path):
    photos = sorted((shapes / "images").iterdir())
    others = tmp_path / "others"
    others.mkdir()
    for name, data in {**good_images(), **broken_images()}.items():
        (others / name).write_bytes(data)
    missing, unlisted = str(tmp_path / "missing.jpg"), str(tmp_path / "unlisted.jpg")
    (tmp_path / "list.txt").write_text(f"{missing}\n{photos[0]}\n")
    output = tmp_path / "output"
    inputs = [str(shapes / "images"), f"{others}/*", f"@{tmp_path / 'list.txt'}", unlisted]
    flags = [word for where in inputs for word in ("--input", where)]
    flags += ["--output", str(output), "--bundle", bundle, "--batch_size", "8", *JOB_FLAGS]

    assert caption_images.main(flags) == 0

    captions, failures = rows_of(output, "captions"), rows_of(output, "failures")
    good = {str(path) for path in photos} | {str(others / name) for name in good_images()}
    bad = {str(others / name): error for name, error in BROKEN_IMAGE_ERRORS.items()}
    assert set(captions) == good
    assert {uri: row["error_type"] for uri, row in failures.items()} == {
        **bad,
        missing: "FileNotFoundError",
        unlisted: "FileNotFoundError",
    }
    assert {row["stage"] for uri, row in failures.items() if uri in bad} == {"decode"}
    assert failures[missing]["stage"] == "read"
    fingerprint = read_bundle_info(bundle).fingerprint
    assert {row["model_fingerprint"] for row in captions.values()} == {fingerprint}
    assert {row["model_name"] for row in captions.values()} == {"shapes"}

    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["counts"]["captions"] == len(good)
    assert manifest["counts"]["failures"] == len(bad) + 2
    assert manifest["counts"]["duplicates"] == 1
    assert (output / "report.html").stat().st_size > 10_000


def test_what_the_toy_learned_is_what_the_table_says(shapes, bundle, tmp_path):
    output = tmp_path / "output"
    flags = ["--input", str(shapes / "images"), "--output", str(output), "--bundle", bundle]
    assert caption_images.main([*flags, "--decode", "greedy", "--no_report", *JOB_FLAGS]) == 0
    truth: dict[str, set[str]] = {}
    for line in (shapes / "captions.tsv").read_text().splitlines():
        name, text = line.split("\t")
        truth.setdefault(str(shapes / "images" / name), set()).add(text)
    captions = rows_of(output, "captions")
    assert set(captions) == set(truth)
    right = sum(row["caption"] in truth[uri] for uri, row in captions.items())
    assert right >= 8  # of 24 photos with a sentence of its own each; by chance it were one
