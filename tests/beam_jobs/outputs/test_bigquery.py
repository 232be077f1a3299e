import datetime
import decimal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.outputs import bigquery, formats
from beam_jobs.records import CAPTIONS, FAILURES, Column, Table
from model_lib.errors import ConfigError

UTC = datetime.timezone.utc
RUN_1, RUN_2, RUN_3 = "20261101T000000Z-a", "20261102T000000Z-b", "20261103T000000Z-c"
CARRIED = tuple(
    Column(name, "arrow", "carried", nullable=True, arrow=kind)
    for name, kind in {
        "order": pa.int64(),
        "weight": pa.float64(),
        "price": pa.decimal128(12, 3),
        "day": pa.date32(),
        "hour": pa.time64("us"),
        "local": pa.timestamp("us"),
        "instant": pa.timestamp("ms", "Europe/Berlin"),
        "tags": pa.list_(pa.string()),
        "place": pa.struct({"x": pa.float32(), "ok": pa.bool_()}),
    }.items()
)
CARRIED_VALUES = {
    "order": 2**60 + 1,
    "weight": 0.1,
    "price": decimal.Decimal("12.340"),
    "day": datetime.date(2026, 2, 28),
    "hour": datetime.time(1, 2, 3, 4),
    "local": datetime.datetime(2026, 3, 1, 12, 0, 0, 1),
    "instant": datetime.datetime(2026, 7, 1, 12, 0, 0, 1000, tzinfo=UTC),
    "tags": ["é", 'quote " and\nline'],
    "place": {"x": 0.5, "ok": True},
}
NULLS = {**dict.fromkeys(CARRIED_VALUES), "tags": []}


def caption(uri: str, run_id: str = RUN_1, fingerprint: str = "f1", **values: object) -> dict:
    return {
        "uri": uri,
        "image_sha256": "ab" * 32,
        "caption": f"a photo of {uri}",
        "score": -0.1 - 0.2,
        "candidates": [
            {"caption": f"a photo of {uri}", "log_prob": -1.2345678901234567, "score": -0.3},
            {"caption": "ünïcode 🐕", "log_prob": -1e-300, "score": -1e300},
        ],
        "confidence": 1e-300,
        "num_tokens": 5,
        "finished": True,
        "sentence": None,
        "low_confidence": None,
        "width": 640,
        "height": 480,
        "format": "jpeg",
        "size_bytes": 2**40,
        "model_name": "toy",
        "model_fingerprint": fingerprint,
        "decode_config": '{"method":"greedy"}',
        "run_id": run_id,
        "captioned_at": datetime.datetime(2026, 11, 1, 23, 59, 59, 123456, tzinfo=UTC),
        **values,
    }


def failure(uri: str, run_id: str = RUN_1, **values: object) -> dict:
    return {
        "uri": uri,
        "stage": "read",
        "error_type": "HttpStatusError",
        "error_message": "404",
        "attempts": 1,
        "transient": False,
        "run_id": run_id,
        "failed_at": datetime.datetime(2026, 11, 1, 1, 2, 3, 999999, tzinfo=UTC),
        **values,
    }


class Job:
    """One output folder and the table it is loaded into."""

    def __init__(self, folder: Path, dataset, bucket: str, carried: tuple = ()) -> None:
        self.folder = folder
        self.dataset = dataset
        self.table = dataset.table("captions")
        self.captions = CAPTIONS.with_columns(carried)
        self.failures = FAILURES.with_columns(carried)
        self.temp_location = f"{bucket}/temp"
        flags = ["--runner=FnApiRunner", f"--temp_location={self.temp_location}"]
        self.options = PipelineOptions(flags)

    def publish(self, captions: list[dict], failures: list[dict], suffix: str = "parquet") -> None:
        for table, rows in ((self.captions, captions), (self.failures, failures)):
            folder = self.folder / table.name
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.iterdir():
                old.unlink()
            if rows:
                write(rows, table, folder / f"{RUN_1}-00000.{suffix}")

    def check(self) -> None:
        bigquery.check_table(self.table, self.captions, self.failures, self.options)

    def load(self, *run_ids: str) -> None:
        bigquery.load_tables(
            str(self.folder), self.table, self.captions, self.failures, run_ids, self.options
        )

    def rows(self, name: str = "captions", columns: str = "*") -> list:
        return self.dataset.query(f"SELECT {columns} FROM {name} ORDER BY uri, run_id")

    def names(self) -> list[str]:
        client = self.dataset.server.client()
        return sorted(table.table_id for table in client.list_tables(self.dataset.name))


def write(rows: list[dict], table: Table, path: Path) -> None:
    arrow = pa.Table.from_pylist(rows, schema=table.arrow_schema())
    if path.suffix == ".parquet":
        pq.write_table(arrow, path)
    else:
        path.write_bytes(b"".join(formats.json_lines(arrow)))


@pytest.fixture
def job(tmp_path, bigquery_dataset, gcs_bucket) -> Job:
    return Job(tmp_path / "photos [1] *", bigquery_dataset, gcs_bucket)


@pytest.fixture
def carrying_job(tmp_path, bigquery_dataset, gcs_bucket) -> Job:
    return Job(tmp_path, bigquery_dataset, gcs_bucket, CARRIED)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_rows_come_back_exactly(carrying_job, suffix):
    captions = [caption("a", **CARRIED_VALUES), caption("b", **NULLS)]
    failures = [failure("c", **CARRIED_VALUES), failure("d", transient=True, **NULLS)]
    carrying_job.check()
    carrying_job.publish(captions, failures, suffix)
    carrying_job.load(RUN_1)
    assert carrying_job.rows() == captions
    assert carrying_job.rows("captions_failures") == failures


def test_tables_are_declared_partitioned_and_clustered(carrying_job):
    carrying_job.publish([], [])
    carrying_job.load(RUN_1)
    assert carrying_job.names() == ["captions", "captions_failures"]
    client = carrying_job.dataset.server.client()
    for name, table, partition, cluster in (
        ("captions", carrying_job.captions, "captioned_at", "model_fingerprint"),
        ("captions_failures", carrying_job.failures, "failed_at", "error_type"),
    ):
        made = client.get_table(f"{carrying_job.dataset.name}.{name}")
        declared = [field.to_api_repr() for field in made.schema]
        assert declared == table.bigquery_schema()["fields"]
        assert (made.time_partitioning.type_, made.time_partitioning.field) == ("DAY", partition)
        assert made.clustering_fields == [cluster]
    carrying_job.check()


def test_a_repeated_load_changes_nothing(job):
    job.publish([caption("a"), caption("b")], [failure("c")])
    job.load(RUN_1)
    before = job.rows(), job.rows("captions_failures")
    job.load(RUN_1)
    assert (job.rows(), job.rows("captions_failures")) == before
    assert job.names() == ["captions", "captions_failures"]


def test_a_resumed_job_adds_captions_and_replaces_failures(job):
    job.publish([caption("a")], [failure("b"), failure("c"), failure("d")])
    job.load(RUN_1)
    # "b" is captioned now, "c" failed again, "d" is no longer among the inputs.
    job.publish([caption("a"), caption("b", RUN_2)], [failure("c", RUN_2, attempts=2)])
    job.load(RUN_1, RUN_2)
    assert job.rows() == [caption("a"), caption("b", RUN_2)]
    assert job.rows("captions_failures") == [failure("c", RUN_2, attempts=2)]


def test_another_job_adds_to_the_same_table(job, tmp_path, gcs_bucket):
    job.publish([caption("a"), caption("b")], [failure("c"), failure("d"), failure("e")])
    job.load(RUN_1)
    other = Job(tmp_path / "other", job.dataset, gcs_bucket)
    # The same model captions "b" again, another one "a"; "c" is captioned, "d" fails again.
    again = [caption("a", RUN_3, "f2"), caption("b", RUN_3), caption("c", RUN_3)]
    other.publish(again, [failure("d", RUN_3)])
    other.load(RUN_3)
    assert job.rows() == [caption("a"), caption("a", RUN_3, "f2"), caption("b"), again[2]]
    assert job.rows("captions_failures") == [failure("d", RUN_3), failure("e")]


@pytest.mark.parametrize("statements_done", [0, 1, 2])
def test_a_load_that_was_cut_off_is_done_again(job, monkeypatch, statements_done):
    job.publish([caption("a")], [failure("b"), failure("c")])
    job.load(RUN_1)
    job.publish([caption("a"), caption("b", RUN_2)], [failure("c", RUN_2)])
    query = bigquery._query
    left = iter(range(statements_done))

    def cut_off(*arguments: Any) -> None:
        if next(left, None) is None:
            raise KeyError("cut off")
        query(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(bigquery, "_query", cut_off)
        with pytest.raises(bigquery.TableLoadError, match=r"cut off.*--resume"):
            job.load(RUN_1, RUN_2)
    job.load(RUN_1, RUN_2)
    assert job.rows() == [caption("a"), caption("b", RUN_2)]
    assert job.rows("captions_failures") == [failure("c", RUN_2)]
    assert job.names() == ["captions", "captions_failures"]


LOAD_IN_A_CHILD = """
import sys
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from beam_jobs.outputs import bigquery
from beam_jobs.records import CAPTIONS, FAILURES
from tests.services import beam_to_emulators
output, table, run_id, *flags = sys.argv[1:]
options = PipelineOptions(flags)
FileSystems.set_options(options)
bigquery.load_tables(output, table, CAPTIONS, FAILURES, [run_id], options)
"""


@pytest.mark.parametrize("sign", ["captions_loading_", "captions_failures"])
def test_a_load_that_was_killed_is_done_again(job, sign):
    """Kills a child when a table shows that it has begun to load, or to bring rows together."""
    captions, failures = [caption(f"{i:03d}") for i in range(300)], [failure("x")]
    job.publish(captions, failures)
    flags = ["--runner=FnApiRunner", f"--temp_location={job.temp_location}"]
    arguments = [sys.executable, "-c", LOAD_IN_A_CHILD, str(job.folder), job.table, RUN_1, *flags]
    with subprocess.Popen(arguments, cwd=Path(__file__).parents[3]) as child:
        wait_until(lambda: any(found(name, sign) for name in job.names()), child)
        child.kill()
    job.load(RUN_1)
    assert job.rows() == captions
    assert job.rows("captions_failures") == failures
    # What the child left behind would expire; the emulator does not know of that.
    assert len([name for name in job.names() if "_loading_" not in name]) == 2


def found(name: str, sign: str) -> bool:
    return name.startswith(sign) if sign.endswith("_") else name == sign


def wait_until(happened: Callable[[], bool], child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_null_in_a_list_is_an_error_that_names_the_column(carrying_job):
    carrying_job.publish([caption("a", **{**CARRIED_VALUES, "tags": ["x", None]})], [])
    with pytest.raises(bigquery.TableLoadError, match="column tags: a list holds a null"):
        carrying_job.load(RUN_1)


def test_numbers_that_json_has_no_word_for(tmp_path, bigquery_dataset, gcs_bucket):
    number = Column("n", "arrow", "carried", nullable=True, arrow=pa.float64())
    job = Job(tmp_path, bigquery_dataset, gcs_bucket, (number,))
    job.publish([caption(name, n=float(name)) for name in ("-inf", "inf", "nan")], [])
    job.load(RUN_1)
    assert [str(row["n"]) for row in job.rows(columns="n, uri, run_id")] == ["-inf", "inf", "nan"]


def test_other_columns_are_refused_by_name(job, carrying_job):
    carrying_job.publish([], [])
    carrying_job.load(RUN_1)
    with pytest.raises(ConfigError) as refusal:
        job.check()
    assert "captions: has other columns: day is only in the table; hour" in str(refusal.value)
    job.dataset.query("CREATE TABLE mine (uri INT64, caption ARRAY<STRING>)")
    job.table = job.dataset.table("mine")
    with pytest.raises(ConfigError, match="uri is INTEGER in the table, STRING in the rows") as one:
        job.check()
    assert "caption is repeated STRING in the table, STRING in the rows" in str(one.value)
    assert "width is not in the table" in str(one.value)


def test_what_cannot_work_is_refused_early(job):
    job.check()
    for table, what in (
        ("captions", "is no name of a table; expected PROJECT:DATASET.TABLE"),
        ("test:nowhere.captions", "[Nn]ot found.*nowhere"),
    ):
        job.table = table
        with pytest.raises(ConfigError, match=what):
            job.check()
    job.table = job.dataset.table("captions")
    job.options = PipelineOptions(["--temp_location=/tmp"])
    with pytest.raises(ConfigError, match="--temp_location gs://BUCKET/FOLDER, not /tmp"):
        job.check()


def test_a_job_without_a_folder_works_beside_the_temporary_files():
    options = PipelineOptions(["--temp_location=gs://b/t/"])
    folder = bigquery.work_folder("example.com:p:d.t", options, "0123")
    assert folder == "gs://b/t/caption-images/example.com.p.d.t/0123"
    with pytest.raises(ConfigError, match="not nothing"):
        bigquery.work_folder("p:d.t", PipelineOptions([]), "0123")
