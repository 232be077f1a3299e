"""The program `benchmarks.encoders`: its arithmetic, and a run of it on a toy bundle."""

import json

import pytest

from benchmarks import encoders

SECONDS = {
    "encoder": [4.0, 4.0, 8.0],
    "encoder, onnxruntime": [2.0, 2.0, 2.0],
    "captioner": [5.0, 5.0, 5.0],
    "captioner, onnxruntime": [4.0, 2.5, 5.0],
    "one way": [1.0, 3.0, 3.0],
    "another": [2.0, 2.0, 4.0],
}


def test_the_way_with_the_smallest_median_counts_in_all_rounds():
    found = encoders.speeds(SECONDS, 8, ["one way", "another"])
    assert found["ONNX Runtime"] == [4.0, 4.0, 2.0]
    assert set(found) == {*list(SECONDS)[:4], "ONNX Runtime"}
    rows = {
        row.key: (row.values, row.target, row.note) for row in encoders.encoder_rows(found, "n")
    }
    assert rows == {
        "onnx": ((1.0, 1.0, 2.0), 1.0, "n"),
        "onnx_tensorflow": ((0.5, 0.5, 0.5), None, ""),
        "onnx_captioner": ((1.25, 2.0, 1.0), None, ""),
    }


@pytest.mark.slow
def test_the_program_measures_and_writes(toy_bundle, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    output = tmp_path / "result.json"
    words = f"--bundle {toy_bundle} --photos examples/photos --images 8 --batch_size 4 --rounds 2"
    assert encoders.main([*words.split(), "--json", str(output)]) == 0
    report = json.loads(output.read_text())
    assert [row["key"] for row in report["rows"]] == ["onnx", "onnx_tensorflow", "onnx_captioner"]
    assert all(len(row["values"]) == 2 for row in report["rows"])
    assert "features differ by" in report["rows"][0]["note"]
