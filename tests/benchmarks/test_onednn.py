"""The program `benchmarks.onednn`: its arithmetic, and a run of it on a toy bundle."""

import json

import pytest

from benchmarks import onednn

SPEEDS = {
    "preferred": {
        "encoder": [3.0, 4.0],
        "captioner greedy": [2.0, 3.0],
        "captioner beam 3": [2.0, 2.0],
    },
    "own choice": {
        "encoder": [2.0, 2.0],
        "captioner greedy": [2.0, 2.0],
        "captioner beam 3": [1.0, 4.0],
    },
}


def test_each_round_with_it_is_held_against_the_same_one_without():
    rows = {row.key: (row.values, row.target) for row in onednn.onednn_rows(SPEEDS)}
    assert rows == {
        "onednn_encoder": ((1.5, 2.0), None),
        "onednn_captioner_greedy": ((1.0, 1.5), None),
        "onednn_captioner_beam_3": ((2.0, 0.5), None),
    }


@pytest.mark.slow
def test_the_program_measures_and_writes(toy_bundle, tmp_path):
    output = tmp_path / "result.json"
    words = f"--bundle {toy_bundle} --photos examples/photos --images 8 --batch_size 4 --rounds 2"
    assert onednn.main([*words.split(), "--json", str(output)]) == 0
    report = json.loads(output.read_text())
    assert [row["key"] for row in report["rows"]] == [
        "onednn_encoder",
        "onednn_captioner_greedy",
        "onednn_captioner_beam_3",
    ]
    assert all(len(row["values"]) == 2 for row in report["rows"])
