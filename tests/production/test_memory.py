"""Memory does not grow with the number of images: 100,000 need as much as 10,000."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.beam_jobs.run_folder import photo
from tests.production.zygote import Zygote

FEW, MANY = 10_000, 100_000
MORE_BYTES = 150 * 1024 * 1024


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Ten photos under 100,000 names, in folders of a thousand."""
    folder = tmp_path_factory.mktemp("many")
    originals = [folder / f"original-{number}" for number in range(10)]
    for number, original in enumerate(originals):
        original.write_bytes(photo(number, (32, 32)))
    for number in range(MANY):
        inner = folder / f"{number // 1000:03d}"
        if number % 1000 == 0:
            inner.mkdir()
        os.link(originals[number % 10], inner / f"{number % 1000:03d}.jpg")
    return folder


def peak_memory_bytes(photos: Path, output: Path, bundle: str, number: int) -> int:
    inputs = output.with_suffix(".txt")
    inputs.write_text("".join(f"{photos}/{n // 1000:03d}/\n" for n in range(0, number, 1000)))
    words = f"--input @{inputs} --output {output} --bundle {bundle} --runner FnApiRunner --quiet"
    with Zygote() as zygote:
        job = zygote.start([*words.split(), "--no_report"], output.with_suffix(".log"))
        assert job.wait(600) == 0, output.with_suffix(".log").read_text()
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["counts"]["captions"] == number
    uris = pq.read_table(output / "captions", columns=["uri"]).column("uri")
    assert len(uris) == len(uris.unique()) == number
    return int(manifest["metrics"]["peak_memory_bytes"]["worker"])


@pytest.mark.slow
def test_a_hundred_thousand_images_need_little_more_than_ten_thousand(photos, toy_bundle, tmp_path):
    few = peak_memory_bytes(photos, tmp_path / "few", toy_bundle, FEW)
    many = peak_memory_bytes(photos, tmp_path / "many", toy_bundle, MANY)
    print(f"peak memory in MiB: {few >> 20} for {FEW}, {many >> 20} for {MANY}")
    assert many - few <= MORE_BYTES
