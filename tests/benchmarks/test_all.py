import json

import pytest

from benchmarks import all as everything
from benchmarks.results import Report, Row


@pytest.fixture
def doc(tmp_path):
    path = tmp_path / "performance.md"
    parts = ["overview", *everything.GROUPS]
    path.write_text("".join(f"<!-- begin {p} -->\n<!-- end {p} -->\n" for p in parts))
    return path


def report(group: str, value: float) -> dict:
    row = Row("key", f"what {group} measures", (value,), "ratio", 1.0)
    return Report(group, "command", "2026-11-23", "machine", {}, (row,)).to_json()


def run(tmp_path, doc, *flags):
    output = tmp_path / "performance.json"
    return everything.main(["--output", str(output), "--doc", str(doc), *flags]), output


def test_groups_run_in_turn_and_tables_are_written(tmp_path, doc, monkeypatch):
    monkeypatch.setattr(everything, "run_group", lambda name, flags: report(name, 2.0))
    code, output = run(tmp_path, doc)
    assert code == 0
    assert list(json.loads(output.read_text())) == list(everything.GROUPS)
    text = doc.read_text()
    for group in everything.GROUPS:
        line = f"| what {group} measures | at least 1.00 | 2.00 | 2.00 to 2.00 | met |"
        assert text.count(line) == 2  # in the overview and in its own table


def test_a_group_that_fails_keeps_its_old_results(tmp_path, doc, monkeypatch):
    found = {"peers": report("peers", 2.0), "startup": report("startup", 2.0)}
    monkeypatch.setattr(everything, "run_group", lambda name, flags: found[name])
    assert run(tmp_path, doc, "--groups", "peers,startup")[0] == 0
    found.update(peers=None, startup=report("startup", 0.5))
    code, output = run(tmp_path, doc, "--groups", "peers,startup")
    assert code == 1
    values = {name: r["rows"][0]["value"] for name, r in json.loads(output.read_text()).items()}
    assert values == {"peers": 2.0, "startup": 0.5}
    assert "| 0.50 | 0.50 to 0.50 | **missed** |" in doc.read_text()


def test_an_unknown_group_is_refused(tmp_path, doc, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, doc, "--groups", "peers,pears")
    assert "no pears" in capsys.readouterr().err


def test_every_group_has_a_short_form():
    assert list(everything.QUICK) == list(everything.GROUPS)
