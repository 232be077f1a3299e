"""The arithmetic of docs/scale.md: what a job of any size costs, from named constants.

Every constant says where it comes from: measured here, read from the code, or an example that
nobody looked up. The functions are plain arithmetic, tested with round numbers.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.simulation import Fleet

MEASURED, CODE, EXAMPLE = "measured here", "the code", "example value"
BIGQUERY_FILES_A_JOB = 10_000
BIGQUERY_BYTES_A_JOB = 15e12
BIGQUERY_JOBS_A_DAY = 1500


@dataclasses.dataclass(frozen=True)
class Constant:
    """A number of the arithmetic.

    Attributes:
        name: field of `Constants`.
        value: in `unit`.
        unit: as shown.
        origin: `MEASURED`, `CODE` or `EXAMPLE`.
        source: the program, the name in the code, or what the example stands for.
    """

    name: str
    value: float
    unit: str
    origin: str
    source: str


_PRICE = "not looked up; put your own in"
CONSTANTS: tuple[Constant, ...] = (
    Constant("images_per_sec", 60.0, "images/s", MEASURED, "whole greedy job, two cores"),
    Constant("row_bytes", 137.0, "bytes", MEASURED, "`benchmarks.publishing`, 2026-11-23"),
    Constant("publish_secs", 4.6, "s a million rows", MEASURED, "as `row_bytes`, local disk"),
    Constant("publish_mb", 70.0, "MB a million rows", CODE, "`outputs/distinct.py`"),
    Constant("start_secs", 300.0, "s", CODE, "docs/estimate.md's allowance for a machine"),
    Constant("commit_rows", 1000.0, "rows", CODE, "`--commit_every`"),
    Constant("file_rows", 200_000.0, "rows", CODE, "`outputs/formats.py`"),
    Constant("shuffled_bytes", 120.0, "bytes", EXAMPLE, "a URI of 90 characters and its position"),
    Constant("image_bytes", 120_000.0, "bytes", EXAMPLE, "docs/estimate.md's photos"),
    Constant("json_row_bytes", 900.0, "bytes", EXAMPLE, "a row as BigQuery loads it"),
    Constant("list_page", 1000.0, "names a request", EXAMPLE, "of the large object stores"),
    Constant("list_secs", 0.1, "s a request", EXAMPLE, "one page after another"),
    Constant("open_secs", 0.05, "s", EXAMPLE, "opening one small object"),
    Constant("machine_price", 0.10, "an hour", EXAMPLE, _PRICE),
    Constant("write_price", 5.0, "a million", EXAMPLE, _PRICE + "; writes and listings"),
    Constant("read_price", 0.4, "a million", EXAMPLE, _PRICE + "; reads"),
    Constant("shuffle_price", 0.01, "a GB", EXAMPLE, _PRICE),
    Constant("preemptions", 0.05, "a machine and hour", EXAMPLE, "spot machines"),
    Constant("slow_share", 0.02, "of the machines", EXAMPLE, "stragglers"),
    Constant("slow_factor", 0.4, "of the usual speed", EXAMPLE, "stragglers"),
    Constant("speed_spread", 0.1, "in the logarithm", EXAMPLE, "machines differ"),
    Constant("bundle_images", 2000.0, "images", EXAMPLE, "a bundle of the runner"),
)
Values = Mapping[str, float]


def values_of(constants: Iterable[Constant] = CONSTANTS) -> dict[str, float]:
    """Returns the numbers by name."""
    return {constant.name: constant.value for constant in constants}


def with_measured(results: Mapping[str, Any]) -> tuple[Constant, ...]:
    """Returns the constants with those measured by `benchmarks.all` put in.

    Args:
        results: of docs/performance.json; may lack groups.
    """
    found: dict[str, tuple[float, str]] = {}
    throughput, publishing = results.get("throughput"), results.get("publishing")
    if throughput:
        rate = throughput["rates"]["job 224x224"]
        found["images_per_sec"] = (
            rate,
            f"whole greedy job, two cores, {throughput['date']}",
        )
    if publishing:
        rows = {row["key"]: row["value"] for row in publishing["rows"]}
        source = f"`benchmarks.publishing`, {publishing['date']}"
        found["publish_secs"] = rows["secs"], source
        found["row_bytes"] = rows["bytes"], source
    return tuple(
        dataclasses.replace(constant, value=found[constant.name][0], source=found[constant.name][1])
        if constant.name in found
        else constant
        for constant in CONSTANTS
    )


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a job of some size takes; times in seconds, sizes in bytes, money in any currency.

    Attributes:
        images: of the job.
        machine_hours: of captioning, starts left out.
        list_secs: listing one folder, one request after another.
        shuffle_bytes: by URI, and to spread.
        parts: committed files.
        publish_secs: of the launcher, opening the parts included.
        publish_bytes: the launcher's memory.
        published_bytes: of the tables.
        files: published.
        reads: requests to storage.
        writes: requests to storage, listings among them.
        load_jobs: of BigQuery.
        machines_money: captioning.
        storage_money: requests.
        shuffle_money: of both shuffles.
    """

    images: int
    machine_hours: float
    list_secs: float
    shuffle_bytes: float
    parts: int
    publish_secs: float
    publish_bytes: float
    published_bytes: float
    files: int
    reads: int
    writes: int
    load_jobs: int
    machines_money: float
    storage_money: float
    shuffle_money: float

    @property
    def money(self) -> float:
        """All of it."""
        return self.machines_money + self.storage_money + self.shuffle_money


def cost(images: int, values: Values) -> Cost:
    """Works out what a job costs.

    Args:
        images: of the job.
        values: the constants.

    Returns:
        Times, sizes, requests and money.
    """
    pages = math.ceil(images / values["list_page"])
    parts = math.ceil(images / values["commit_rows"])
    files = math.ceil(images / values["file_rows"])
    reads = images + 2 * parts  # publishing reads a part's URIs, then its rows
    writes = pages + 2 * parts + files  # a part is written, and deleted in the end
    hours = images / values["images_per_sec"] / 3600
    shuffled = 2 * images * values["shuffled_bytes"]
    opening = 2 * parts * values["open_secs"] / READS_AHEAD
    return Cost(
        images=images,
        machine_hours=hours,
        list_secs=pages * values["list_secs"],
        shuffle_bytes=shuffled,
        parts=parts,
        publish_secs=images / 1e6 * values["publish_secs"] + opening,
        publish_bytes=images * values["publish_mb"],
        published_bytes=images * values["row_bytes"],
        files=files,
        reads=reads,
        writes=writes,
        load_jobs=_load_jobs(images, files, values),
        machines_money=hours * values["machine_price"],
        storage_money=(reads * values["read_price"] + writes * values["write_price"]) / 1e6,
        shuffle_money=shuffled / 1e9 * values["shuffle_price"],
    )


READS_AHEAD = 8


def _load_jobs(images: int, files: int, values: Values) -> int:
    """Returns load jobs of a table, by whichever of the two limits is the nearer."""
    by_bytes = images * values["json_row_bytes"] / BIGQUERY_BYTES_A_JOB
    return max(1, math.ceil(max(files / BIGQUERY_FILES_A_JOB, by_bytes)))


def fleet(machines: int, values: Values, seed: int = 0) -> Fleet:
    """Returns machines as the constants have them: unequal, some slow, some taken away."""
    return Fleet(
        machines=machines,
        images_per_sec=values["images_per_sec"],
        start_secs=values["start_secs"],
        bundle_images=int(values["bundle_images"]),
        speed_spread=values["speed_spread"],
        slow_share=values["slow_share"],
        slow_factor=values["slow_factor"],
        preemptions_per_hour=values["preemptions"],
        seed=seed,
    )
