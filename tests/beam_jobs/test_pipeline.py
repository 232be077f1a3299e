import dataclasses
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs import job
from beam_jobs.config import JobConfig
from beam_jobs.counters import JobCounts, read_counts
from beam_jobs.pipeline import JobPlan, build_pipeline
from beam_jobs.records import CAPTIONS, FAILURES
from tests.images import BROKEN_IMAGE_ERRORS, broken_images, good_images

LOCAL = ["--runner=FnApiRunner"]
TWO_PROCESSES = [*LOCAL, "--direct_num_workers=2", "--direct_running_mode=multi_processing"]


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    for name, data in {**good_images(), **broken_images()}.items():
        path = folder / ("good" if name in good_images() else "broken") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def plan_for(bundle: str, inputs: list[str], output: Path, **settings) -> JobPlan:
    settings = {"read_attempts": 1, "batch_size": 4, "allow_private_addresses": True, **settings}
    config = JobConfig(input=tuple(inputs), output=str(output), bundle=bundle, **settings)
    return dataclasses.replace(job.prepare(config, PipelineOptions(LOCAL)), run_id="r1")


def run(plan: JobPlan, words: list[str] = LOCAL) -> JobCounts:
    return read_counts(build_pipeline(plan, PipelineOptions(words)).run())


def tables(output: Path) -> tuple[list[dict], list[dict]]:
    return tuple(
        pq.read_table(output / "_committed" / table.name, schema=table.arrow_schema()).to_pylist()
        for table in (CAPTIONS, FAILURES)
    )


def test_every_input_is_in_one_table_exactly_once(toy_bundle, photos, tmp_path, web):
    listed = [web.url("photo.jpg"), web.url("missing.jpg"), "gone.jpg", "gone.jpg"]
    listed.append(str(photos / "good" / "rgb.jpg"))
    (tmp_path / "list.txt").write_text("\n".join(listed))
    inputs = [str(photos / "good"), f"{photos}/broken/*", f"@{tmp_path}/list.txt"]

    counts = run(plan_for(toy_bundle, inputs, tmp_path / "out"))
    captions, failures = tables(tmp_path / "out")

    good = {str(photos / "good" / name) for name in good_images()}
    assert sorted(row["uri"] for row in captions) == sorted({*good, web.url("photo.jpg")})
    expected = {
        str(photos / "broken" / name): ("decode", error)
        for name, error in BROKEN_IMAGE_ERRORS.items()
    }
    expected |= {
        web.url("missing.jpg"): ("read", "HttpStatusError"),
        "gone.jpg": ("read", "FileNotFoundError"),
    }
    assert len(failures) == len(expected)
    assert {row["uri"]: (row["stage"], row["error_type"]) for row in failures} == expected
    assert {row["run_id"] for row in (*captions, *failures)} == {"r1"}

    distinct = len(captions) + len(failures)
    assert (counts.listed, counts.distinct, counts.selected) == (distinct + 2, distinct, distinct)
    assert counts.mismatches(len(captions), len(failures)) == []
    assert counts.bytes_read == sum(
        len(data) for data in (*good_images().values(), *broken_images().values())
    ) + len(good_images()["rgb.jpg"])


def test_the_same_bytes_get_the_same_caption_whatever_the_batch(toy_bundle, photos, tmp_path):
    inputs = [str(photos / "good")]
    for size in (1, 7):
        run(plan_for(toy_bundle, inputs, tmp_path / str(size), batch_size=size))
    first, second = (tables_by_uri(tmp_path / size) for size in ("1", "7"))
    assert first == second


def tables_by_uri(output: Path) -> dict[str, tuple[str, str]]:
    rows = pq.read_table(output / "_committed" / "captions").to_pylist()
    return {row["uri"]: (row["caption"], row["image_sha256"]) for row in rows}


def test_a_limit_takes_the_first_uris(toy_bundle, photos, tmp_path):
    counts = run(plan_for(toy_bundle, [str(photos / "good")], tmp_path / "out", limit=3))
    names = [path.name for path in sorted((photos / "good").iterdir())[:3]]
    assert sorted(Path(uri).name for uri in tables_by_uri(tmp_path / "out")) == names
    assert (counts.distinct, counts.selected, counts.captions) == (len(good_images()), 3, 3)


def test_the_batch_size_may_be_found_by_trial(toy_bundle, photos, tmp_path):
    inputs = [str(photos / "good")]
    run(plan_for(toy_bundle, inputs, tmp_path / "auto", batch_size=0))
    run(plan_for(toy_bundle, inputs, tmp_path / "fixed"))
    assert tables_by_uri(tmp_path / "auto") == tables_by_uri(tmp_path / "fixed")


@pytest.mark.slow
def test_worker_processes_give_the_same_rows(toy_bundle, photos, tmp_path):
    counts = run(plan_for(toy_bundle, [str(photos)], tmp_path / "two"), TWO_PROCESSES)
    run(plan_for(toy_bundle, [str(photos)], tmp_path / "one"))
    captions, failures = tables(tmp_path / "two")
    assert counts.mismatches(len(captions), len(failures)) == []
    assert tables_by_uri(tmp_path / "two") == tables_by_uri(tmp_path / "one")
