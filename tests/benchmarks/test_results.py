import json

import pytest

from benchmarks.results import Report, Row, make_report, processor_text


@pytest.mark.parametrize(
    ("values", "target", "at_most", "met"),
    [
        ((0.9, 1.1, 1.0), 1.0, False, True),
        ((0.9, 1.1, 0.99), 1.0, False, False),
        ((1.05,), 1.05, True, True),
        ((1.06,), 1.05, True, False),
        ((3.0,), None, False, None),
    ],
)
def test_the_median_is_held_against_the_target(values, target, at_most, met):
    assert Row("key", "what", values, "ratio", target, at_most).is_met is met


def test_cells_of_rows():
    row = Row("job", "job / captioner", (0.81, 0.95, 0.78), "ratio", 0.9, note="greedy")
    assert row.cells() == [
        "job / captioner (greedy)",
        "at least 0.90",
        "0.81",
        "0.78 to 0.95",
        "**missed**",
    ]
    start = Row("start", "start", (8.04,), "s", 10.0, at_most=True)
    assert start.cells() == ["start", "at most 10.0 s", "8.0 s", "8.0 to 8.0", "met"]
    memory = Row("memory", "memory", (1234.5,), "MB")
    assert memory.cells() == ["memory", "", "1,234 MB", "1,234 to 1,234", ""]


def test_a_report_survives_json():
    rows = [Row("a", "b", (1.0, 2.0, 4.0), "ratio", 1.5)]
    report = make_report("throughput", rows, {"images": 64}, {"job": 60.0}, argv=["--images", "64"])
    plain = json.loads(json.dumps(report.to_json()))
    assert Report.from_json(plain) == report
    assert plain["rows"][0]["value"] == 2.0
    assert plain["rows"][0]["met"] is True
    assert report.command == "python -m benchmarks.throughput --images 64"


def test_markdown_names_command_machine_and_date():
    report = Report("g", "python -m g", "2026-11-23", "2 cores", {}, (Row("a", "b", (1.0,)),))
    assert report.markdown() == (
        "`python -m g`, 2 cores, 2026-11-23\n\n"
        "|  | target | median | rounds |  |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| b |  | 1.00 | 1.00 to 1.00 |  |\n"
    )


def test_a_processor_is_named_with_the_best_that_it_has():
    text = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx avx2 {}\n\n"
    both = text.format("") + text.format("").replace("EPYC", "other")
    assert processor_text(both) == "AMD EPYC (avx2)"
    assert processor_text(text.format("avx512_vnni avx512f")) == "AMD EPYC (avx512_vnni)"
    assert processor_text("model name: old\n") == "old"
