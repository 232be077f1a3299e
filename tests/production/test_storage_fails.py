"""Storage that cannot be written, fills up or vanishes: a clear error, and nothing is lost."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import requests

from beam_jobs import caption_images, storage
from tests.beam_jobs.run_folder import photo
from tests.services.gcs import Gcs

IMAGES = 400


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(IMAGES):
        (folder / f"{number:04d}.jpg").write_bytes(photo(number, (48, 36)))
    return folder


def words(photos: Path, output: object, bundle: str, *more: str) -> list[str]:
    flags = f"--input {photos} --output {output} --bundle {bundle} --runner FnApiRunner --quiet"
    return [*flags.split(), "--no_report", "--commit_every", "20", *more]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, which a test can fill, grow and make read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def committed_uris(output: Path) -> list[str]:
    parts = (output / "_committed" / "captions").glob("*.parquet")
    return [uri for path in parts for uri in pq.read_table(path).column("uri").to_pylist()]


def check_whole(output: Path, photos: Path, earlier: int) -> None:
    uris = pq.read_table(output / "captions").column("uri").to_pylist()
    assert sorted(uris) == sorted(str(path) for path in photos.iterdir())
    counts = json.loads((output / "manifest.json").read_text())["counts"]
    assert counts["done_by_earlier_runs"] >= earlier


def test_a_full_disk(photos, toy_bundle, small_disk, capsys):
    output = small_disk / "out"
    assert caption_images.main(words(photos, output, toy_bundle)) == 1
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert "what was committed stays, go on with --resume" in error
    assert error.count("\n") == 1
    done = committed_uris(output)
    assert 0 < len(done) < IMAGES
    assert not (output / "captions").exists()

    remount(small_disk, "size=20m")
    assert caption_images.main(words(photos, output, toy_bundle, "--resume")) == 0
    check_whole(output, photos, len(set(done)))


def test_an_output_that_is_read_only(photos, toy_bundle, small_disk, capsys):
    remount(small_disk, "ro")
    assert caption_images.main(words(photos, small_disk / "out", toy_bundle)) == 1
    error = capsys.readouterr().err
    assert "Read-only file system" in error
    assert error.count("\n") == 1


def test_a_finished_output_that_became_read_only_stays_as_it_is(
    photos, toy_bundle, small_disk, capsys
):
    output = small_disk / "out"
    remount(small_disk, "size=20m")
    assert caption_images.main(words(photos, output, toy_bundle, "--limit", "50")) == 0
    before = {path: path.read_bytes() for path in output.rglob("*.*") if path.is_file()}
    remount(small_disk, "ro")
    assert caption_images.main(words(photos, output, toy_bundle, "--resume")) == 1
    assert "Read-only file system" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in output.rglob("*.*") if path.is_file()} == before


@pytest.mark.slow
def test_a_bucket_that_vanishes(photos, toy_bundle, gcs_server, gcs_bucket, tmp_path):
    """It is deleted while the job runs; restored from a copy, it is gone on with."""
    output, name = f"{gcs_bucket}/out", gcs_bucket.removeprefix("gs://")
    stored = gcs_server.root / name
    command = [sys.executable, "-m", "beam_jobs.caption_images"]
    command += words(photos, output, toy_bundle, "--batch_size", "1", "--read_threads", "1")
    with (tmp_path / "log").open("wb") as log:
        job = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for_parts(stored / "out", 2, job)
        shutil.copytree(stored, tmp_path / "copy")
        delete_bucket(gcs_server, name)
        code = job.wait(300)
    error = (tmp_path / "log").read_text().strip()
    assert code == 1, error
    assert name in error.splitlines()[-1]

    gcs_server.create_bucket(name)
    for path in (tmp_path / "copy").rglob("*.*"):
        inside = path.relative_to(tmp_path / "copy").as_posix()
        if path.is_file() and inside.startswith("out/"):
            storage.write_bytes(f"{gcs_bucket}/{inside}", path.read_bytes())
    done = committed_uris(stored / "out")
    assert 0 < len(done) < IMAGES
    assert caption_images.main(words(photos, output, toy_bundle, "--resume")) == 0
    check_whole(stored / "out", photos, len(set(done)))


def delete_bucket(server: Gcs, name: str) -> None:
    """Deletes a bucket that is still being written into."""
    for _ in range(100):
        with contextlib.suppress(requests.HTTPError):
            return server.remove_bucket(name)
    raise AssertionError("the bucket is never empty")


def wait_for_parts(output: Path, number: int, job: subprocess.Popen) -> None:
    end_secs = time.monotonic() + 120
    folder = output / "_committed" / "captions"
    while len(list(folder.glob("*.parquet"))) < number:
        assert job.poll() is None
        assert time.monotonic() < end_secs
        time.sleep(0.01)


def test_an_input_bucket_that_is_not_there_is_a_usage_error(
    toy_bundle, gcs_bucket, tmp_path, capsys
):
    missing = f"{gcs_bucket}-missing/photos"
    assert caption_images.main(words(missing, tmp_path / "out", toy_bundle)) == 2
    assert "missing" in capsys.readouterr().err
