"""The program `benchmarks.tensorflow_settings`: its arithmetic, and a run of it on a toy bundle."""

import json

import pytest

from benchmarks import tensorflow_settings

SPEEDS = {
    "as the job": {
        "encoder": [3.0, 4.0],
        "captioner greedy": [2.0, 3.0],
        "captioner beam 3": [2.0, 2.0],
    },
    "own kernels": {
        "encoder": [2.0, 2.0],
        "captioner greedy": [2.0, 2.0],
        "captioner beam 3": [1.0, 4.0],
    },
    "own threads": {
        "encoder": [1.0, 4.0],
        "captioner greedy": [2.0, 1.0],
        "captioner beam 3": [4.0, 4.0],
    },
}
KEYS = [
    *("onednn_encoder", "onednn_captioner_greedy", "onednn_captioner_beam_3"),
    *("threads_encoder", "threads_captioner_greedy", "threads_captioner_beam_3"),
]


def test_each_round_is_held_against_the_same_one_without_a_setting():
    rows = {row.key: (row.values, row.target) for row in tensorflow_settings.settings_rows(SPEEDS)}
    assert rows == {
        "onednn_encoder": ((1.5, 2.0), None),
        "onednn_captioner_greedy": ((1.0, 1.5), None),
        "onednn_captioner_beam_3": ((2.0, 0.5), None),
        "threads_encoder": ((3.0, 1.0), None),
        "threads_captioner_greedy": ((1.0, 3.0), None),
        "threads_captioner_beam_3": ((0.5, 0.5), None),
    }


@pytest.mark.slow
def test_the_program_measures_and_writes(toy_bundle, tmp_path):
    output = tmp_path / "result.json"
    words = f"--bundle {toy_bundle} --photos examples/photos --images 8 --batch_size 4 --rounds 2"
    assert tensorflow_settings.main([*words.split(), "--json", str(output)]) == 0
    report = json.loads(output.read_text())
    assert [row["key"] for row in report["rows"]] == KEYS
    assert all(len(row["values"]) == 2 for row in report["rows"])
