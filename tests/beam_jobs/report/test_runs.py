from beam_jobs.report.runs import (
    LatencyRow,
    RunRow,
    command_text,
    latency_rows,
    run_rows,
    speed_facts,
)

TIMES = {"count": 1000, "mean": 12.34, "min": 1.0, "max": 1500.0, "p50": 9.8, "p95": 40.0}


def test_stages_have_names_and_times_units():
    manifest = {"metrics": {"latency_ms": {"read": TIMES, "upload": {"count": 2}}}}
    assert latency_rows(manifest) == [
        LatencyRow("Read an image", "1,000", "9.80 ms", "40.0 ms", "12.3 ms", "1.5 s"),
        LatencyRow("upload", "2", "", "", "", ""),
    ]


def test_speed_and_memory_as_far_as_they_are_known():
    metrics = {
        "images_per_sec": {"whole_run": 5.0, "captioning": 7.25},
        "captioning_secs": 90.0,
        "batch_images": {"p50": 31.6, "max": 32},
        "peak_memory_bytes": {"launcher": 9e8, "worker": None},
    }
    assert speed_facts({"metrics": metrics}) == [
        ("Images a second while captioning", "7.2"),
        ("Images a second, whole run", "5.0"),
        ("Captioning took", "1 min 30 s"),
        ("Images in a batch, median", "32"),
        ("Most memory of the launcher", "900 MB"),
    ]


def test_runs_tell_when_what_and_how():
    first = {
        "run_id": "r1",
        "started_at": "2026-01-02T03:04:05+00:00",
        "finished_at": None,
        "command_line": ["--input", "my photos"],
        "captions": 1234,
        "failures": 0,
    }
    second = {**first, "run_id": "r2", "finished_at": "2026-01-02T03:05:05+00:00"}
    assert run_rows({"runs": [first, second, {}]}) == [
        RunRow(
            "r1",
            "2026-01-02 03:04:05 UTC, not finished",
            "1,234 captions, 0 failures",
            "--input 'my photos'",
        ),
        RunRow(
            "r2",
            "2026-01-02 03:04:05 UTC to 2026-01-02 03:05:05 UTC",
            "1,234 captions, 0 failures",
            "--input 'my photos'",
        ),
        RunRow("", ", not finished", "", ""),
    ]


def test_a_manifest_of_an_earlier_release_has_none_of_it():
    assert (latency_rows({}), speed_facts({}), run_rows({"runs": "x"})) == ([], [], [])
    assert command_text("as it is") == "as it is"
    assert command_text(None) == ""
