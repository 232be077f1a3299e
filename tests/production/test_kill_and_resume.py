"""Jobs that are killed by SIGKILL at random moments, resumed, and killed again.

In the end the table must be that of an undisturbed run: each input once, the same captions.
"""

import json
import os
import random
import signal
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.images import broken_images, good_images
from tests.production.zygote import Job, Zygote

IMAGES = 1200
COMMIT_EVERY = 20
KILLS = 24
RUN_COLUMNS = ("run_id", "captioned_at", "failed_at")
SEED = int(os.environ.get("KILL_SEED", "20261123"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Many files, some of them broken; each good one different from all others."""
    from tests.beam_jobs.run_folder import photo

    folder = tmp_path_factory.mktemp("photos")
    for number in range(IMAGES):
        (folder / f"{number:04d}.jpg").write_bytes(photo(number, (48, 36)))
    for name, data in {**good_images(), **broken_images()}.items():
        (folder / f"x-{name}").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as running:
        yield running


def words(photos: Path, output: Path, bundle: str, *more: str) -> list[str]:
    flags = f"--input {photos}/* --output {output} --bundle {bundle} --runner FnApiRunner --quiet"
    return [*flags.split(), "--no_report", "--commit_every", str(COMMIT_EVERY), *more]


def committed_parts(output: Path) -> list[Path]:
    return list((output / "_committed").glob("*/*.parquet"))


def wait_for_a_random_moment(job: Job, output: Path, chance: random.Random) -> None:
    """Waits for some time, or until some more parts are committed, and a little longer."""
    by_time = chance.random() < 0.25
    parts = len(committed_parts(output)) + chance.randint(1, 5)
    end_secs = time.monotonic() + (chance.uniform(0.0, 4.0) if by_time else 60.0)
    while time.monotonic() < end_secs and job.status is None:
        if not by_time and len(committed_parts(output)) >= parts:
            break
        time.sleep(0.005)
    time.sleep(chance.uniform(0.0, 0.05))


def rows_of(output: Path, table: str) -> list[dict]:
    """Returns the rows of a table by URI, without what is different in every run."""
    rows = pq.read_table(output / table).sort_by("uri").to_pylist()
    return [without_run(row) for row in rows]


def without_run(row: dict) -> dict:
    """Drops run and time; rounds scores, whose last digits depend on the batch."""
    kept = {name: value for name, value in row.items() if name not in RUN_COLUMNS}
    if "score" in kept:
        kept["score"] = round(kept["score"], 4)
        kept["candidates"] = [
            (item["caption"], round(item["score"], 4)) for item in kept["candidates"]
        ]
    return kept


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_double_nothing(zygote, photos, toy_bundle, tmp_path):
    chance = random.Random(SEED)
    print("KILL_SEED", SEED)
    plain = tmp_path / "undisturbed"
    assert zygote.start(words(photos, plain, toy_bundle), tmp_path / "log").wait() == 0
    expected = {table: rows_of(plain, table) for table in ("captions", "failures")}
    inputs = sorted(str(path) for path in photos.iterdir())
    assert sorted(row["uri"] for rows in expected.values() for row in rows) == inputs

    kills, finished, round_number = 0, 0, 0
    while kills < KILLS or not finished:
        round_number += 1
        output = tmp_path / f"disturbed-{round_number}"
        starts, durable = 0, set()
        while True:
            flags = words(photos, output, toy_bundle, "--resume")
            job = zygote.start(flags, tmp_path / "log")
            starts += 1
            if kills < KILLS:
                wait_for_a_random_moment(job, output, chance)
                status = job.kill()
            else:
                status = job.wait()
            if status == 0:
                break
            assert status == -signal.SIGKILL, (tmp_path / "log").read_text()
            kills += 1
            # Every part that can be seen is whole, and nothing committed is ever lost.
            if not (output / "manifest.json").exists():
                now = {uri for path in committed_parts(output) for uri in uris_of(path)}
                assert durable <= now | published_uris(output)
                durable |= now
        finished += 1
        assert {table: rows_of(output, table) for table in expected} == expected
        manifest = json.loads((output / "manifest.json").read_text())
        check_manifest(manifest, expected, starts)
        assert {path.name for path in output.iterdir()} == {"captions", "failures", "manifest.json"}


def uris_of(path: Path) -> list[str]:
    return pq.read_table(path, columns=["uri"]).column("uri").to_pylist()


def published_uris(output: Path) -> set[str]:
    folders = [output / name for name in ("captions", "failures") if (output / name).exists()]
    return {uri for folder in folders for path in folder.iterdir() for uri in uris_of(path)}


def check_manifest(manifest: dict, expected: dict[str, list[dict]], starts: int) -> None:
    assert manifest["status"] == "succeeded"
    assert manifest["mismatches"] == []
    counts = manifest["counts"]
    assert counts["captions"] == len(expected["captions"])
    assert counts["failures"] == len(expected["failures"])
    # A run that was killed before it could note its start is the only one that is not listed.
    runs = manifest["runs"]
    assert 1 <= len(runs) <= starts
    assert [run["finished_at"] is None for run in runs] == [True] * (len(runs) - 1) + [False]
    assert sum(run["captions"] for run in runs) == len(expected["captions"])
    assert sum(run["failures"] for run in runs) == len(expected["failures"])
