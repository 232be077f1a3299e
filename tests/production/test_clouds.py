"""The whole job on real servers of Google Cloud Storage, S3, BigQuery and http."""

import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs import caption_images, storage
from tests.images import good_images
from tests.services.google_credentials import PROJECT

IMAGES = {name: good_images()[name] for name in ("rgb.jpg", "rgba.png", "lossy.webp")}


def put(folder: str, files: dict[str, bytes]) -> list[str]:
    for name, data in files.items():
        storage.write_bytes(f"{folder}/{name}", data)
    return [f"{folder}/{name}" for name in files]


def read_table(output: str, name: str = "captions") -> pa.Table:
    found = [file.path for file in storage.list_pattern(f"{output}/{name}/*.parquet")]
    tables = []
    for path in found:
        with storage.open_read(path) as stream:
            tables.append(pq.read_table(pa.BufferReader(stream.read())))
    return pa.concat_tables(tables).sort_by("uri")


def run(toy_bundle: str, *more: object) -> int:
    words = f"--bundle {toy_bundle} --runner FnApiRunner --quiet --no_report"
    return caption_images.main([*words.split(), *map(str, more)])


def manifest_of(output: str) -> dict:
    with storage.open_read(f"{output}/manifest.json") as stream:
        return json.loads(stream.read())


def test_one_list_may_name_every_store(gcs_bucket, s3_bucket, web, toy_bundle, tmp_path):
    uris = put(f"{gcs_bucket}/photos", IMAGES) + put(f"{s3_bucket}/photos", IMAGES)
    uris += put(str(tmp_path / "photos"), IMAGES)
    uris += [web.url("photo.jpg")]
    bad = [f"{gcs_bucket}/none.jpg", f"{s3_bucket}/none.jpg", web.url("missing.jpg")]
    (tmp_path / "list.txt").write_text("\n".join([*uris, *bad]))
    output = f"{gcs_bucket}/out"
    more = ("--allow_private_addresses", "--read_attempts", 1)
    assert run(toy_bundle, "--input", f"@{tmp_path}/list.txt", "--output", output, *more) == 0
    assert read_table(output).column("uri").to_pylist() == sorted(uris)
    failures = read_table(output, "failures").to_pylist()
    assert [row["uri"] for row in failures] == sorted(bad)
    assert {row["stage"] for row in failures} == {"read"}
    assert [row["transient"] for row in failures] == [False, False, False]


def test_a_bucket_in_and_out_and_again(bucket, toy_bundle):
    put(f"{bucket}/photos/deep", IMAGES)
    flags = ("--input", f"{bucket}/photos/", "--output", f"{bucket}/out")
    assert run(toy_bundle, *flags) == 0
    captions = read_table(f"{bucket}/out")
    assert captions.column("uri").to_pylist() == sorted(f"{bucket}/photos/deep/{n}" for n in IMAGES)
    names = sorted(file.path.removeprefix(bucket) for file in storage.list_folder(f"{bucket}/out"))
    assert [name.split("/")[2] for name in names] == ["captions", "manifest.json"]

    assert run(toy_bundle, *flags) == 2
    put(f"{bucket}/photos", {"more.bmp": good_images()["rgb.bmp"], "bad.jpg": b"no"})
    assert run(toy_bundle, *flags, "--resume") == 0
    assert len(read_table(f"{bucket}/out")) == 4
    assert manifest_of(f"{bucket}/out")["counts"]["done_by_earlier_runs"] == 3
    assert run(toy_bundle, *flags, "--resume", "--recompute", "--decode", "greedy") == 0
    rows = read_table(f"{bucket}/out").to_pylist()
    assert {json.loads(row["decode_config"])["method"] for row in rows} == {"greedy"}
    assert len(rows) == 4
    assert len(read_table(f"{bucket}/out", "failures")) == 1


def test_tables_and_shards_in_a_bucket(bucket, toy_bundle, tmp_path):
    uris = put(f"{bucket}/photos", IMAGES)
    table = pa.table({"uri": uris, "id": pa.array([1, 2, 3], pa.int16())})
    data = io.BytesIO()
    pq.write_table(table, data)
    put(bucket, {"table.parquet": data.getvalue()})
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as archive:
        for number, (name, content) in enumerate(IMAGES.items()):
            member = tarfile.TarInfo(f"{number:04d}.{name.rsplit('.', 1)[1]}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    put(bucket, {"shard-0.tar": shard.getvalue()})
    flags = ("--input", f"{bucket}/table.parquet", "--input", f"{bucket}/shard-*.tar")
    assert run(toy_bundle, *flags, "--output", tmp_path / "out") == 0
    rows = pq.read_table(tmp_path / "out" / "captions").to_pylist()
    found = {row["uri"]: (row["id"], row["key"], row["image_sha256"]) for row in rows}
    assert len(found) == 6
    for number, uri in enumerate(uris):
        member = f"{bucket}/shard-0.tar#{number:04d}"
        assert found[uri][:2] == (number + 1, None)
        assert found[member][:2] == (None, f"{number:04d}")
        assert found[uri][2] == found[member][2]


@pytest.mark.slow
def test_bigquery_gets_the_same_rows_and_never_twice(
    bigquery_dataset, gcs_bucket, toy_bundle, tmp_path
):
    put(str(tmp_path / "photos"), {**IMAGES, "bad.jpg": b"no image"})
    name = f"{PROJECT}:{bigquery_dataset.name}.captions"
    flags = ("--input", tmp_path / "photos", "--output_table", name, "--project", PROJECT)
    flags += ("--temp_location", f"{gcs_bucket}/temp")
    both = (*flags, "--output", tmp_path / "out")
    assert run(toy_bundle, *both) == 0
    files = pq.read_table(tmp_path / "out" / "captions").sort_by("uri").to_pylist()
    client = bigquery_dataset.server.client()
    table = f"`{PROJECT}.{bigquery_dataset.name}.captions`"

    def rows(which: str = table) -> list[dict]:
        return [dict(row) for row in client.query(f"SELECT * FROM {which} ORDER BY uri").result()]

    assert rows() == files
    failures = table[:-1] + "_failures`"
    assert [row["uri"] for row in rows(failures)] == [str(tmp_path / "photos" / "bad.jpg")]
    # The same job again, resumed, begun anew, and with the table alone.
    assert run(toy_bundle, *both, "--resume") == 0
    assert run(toy_bundle, *both, "--overwrite") == 0
    assert run(toy_bundle, *flags) == 0
    (tmp_path / "photos" / "bad.jpg").write_bytes(good_images()["rgb.bmp"])
    assert run(toy_bundle, *flags, "--retry_failures", "all") == 0
    assert run(toy_bundle, *flags) == 0
    assert [row["uri"] for row in rows()] == sorted(
        str(path) for path in (tmp_path / "photos").iterdir()
    )
    assert len(rows(failures)) <= 1
