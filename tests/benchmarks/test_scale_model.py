import pytest

from benchmarks.scale import costs_table
from benchmarks.scale_model import CONSTANTS, cost, fleet, values_of, with_measured

ROUND = {
    **values_of(),
    "images_per_sec": 50.0,
    "row_bytes": 300.0,
    "publish_secs": 10.0,
    "publish_mb": 70.0,
}


def test_a_million_images():
    spent = cost(1_000_000, ROUND)
    assert spent.machine_hours == pytest.approx(1e6 / 50 / 3600)
    assert spent.list_secs == pytest.approx(1000 * 0.1)
    assert spent.shuffle_bytes == 2 * 1e6 * 120
    assert (spent.parts, spent.files) == (1000, 5)
    assert spent.publish_secs == pytest.approx(10 + 2 * 1000 * 0.05 / 8)
    assert spent.publish_bytes == 70e6
    assert spent.published_bytes == 300e6
    assert spent.reads == 1_000_000 + 2 * 1000
    assert spent.writes == 1000 + 2 * 1000 + 5
    assert spent.load_jobs == 1
    assert spent.machines_money == pytest.approx(1e6 / 50 / 3600 * 0.1)
    assert spent.storage_money == pytest.approx(1.002 * 0.4 + 0.003005 * 5)
    assert spent.money == pytest.approx(
        spent.machines_money + spent.storage_money + spent.shuffle_money
    )


def test_load_jobs_follow_the_nearer_limit():
    # 10 billion rows are 50,000 files of 200,000: five loads of 10,000 files; 9 TB fit into one.
    assert cost(10**10, ROUND).load_jobs == 5
    wide = {**ROUND, "json_row_bytes": 15_000.0}
    assert cost(10**10, wide).load_jobs == 10


def test_measured_constants_replace_the_stored_ones():
    results = {
        "throughput": {"rates": {"job 224x224": 77.0}, "date": "2026-12-01"},
        "publishing": {
            "rows": [{"key": "secs", "value": 4.0}, {"key": "bytes", "value": 150.0}],
            "date": "2026-12-02",
        },
    }
    found = {constant.name: constant for constant in with_measured(results)}
    assert found["images_per_sec"].value == 77.0
    assert found["images_per_sec"].source.endswith("2026-12-01")
    assert (found["publish_secs"].value, found["row_bytes"].value) == (4.0, 150.0)
    assert with_measured({}) == CONSTANTS


def test_a_fleet_is_made_from_the_constants():
    made = fleet(7, ROUND, seed=3)
    assert (made.machines, made.seed, made.images_per_sec) == (7, 3, 50.0)
    assert made.preemptions_per_hour == ROUND["preemptions"]


def test_the_table_has_a_column_for_each_job():
    lines = costs_table(ROUND).splitlines()
    assert lines[0] == "|  | 10 million | 1 billion | 10 billion |"
    assert {line.count("|") for line in lines} == {5}
    assert "| published files | 50 | 5,000 | 50,000 |" in lines
