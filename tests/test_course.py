"""The walk-through: its script runs offline; the notebook is the script, executed."""

import runpy
from pathlib import Path

import jupytext
import nbformat
import numpy as np
import pytest

from model_lib.config import DecodeConfig

DOCS = Path(__file__).resolve().parents[1] / "docs"


def sources(notebook):
    return [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]


def test_the_notebook_is_in_step_with_the_script():
    script = jupytext.read(DOCS / "course.py")
    notebook = nbformat.read(DOCS / "course.ipynb", as_version=4)
    assert sources(notebook) == sources(script), "run: python docs/make_course.py"


def test_the_notebook_was_executed_whole_and_is_small():
    cells = nbformat.read(DOCS / "course.ipynb", as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert {output.output_type for output in outputs} == {"stream", "display_data"}
    assert sum("image/jpeg" in output.get("data", {}) for output in outputs) == 4
    assert (DOCS / "course.ipynb").stat().st_size < 1_000_000


@pytest.mark.slow
def test_the_script_runs_offline_and_its_loop_is_the_library_s(tmp_path, monkeypatch, capsys):
    for name in ("COURSE_DATA", "COURSE_TFDS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(DOCS)
    made = runpy.run_path("course.py")
    printed = capsys.readouterr().out
    assert "6 photos to train on, 2 for dev" in printed
    assert f"-> features {made['shipped_features'].shape}" in printed
    assert printed.count("one_of_ten") == 5
    losses = made["history"]["loss"]
    assert len(losses) == 25
    assert losses[-1] < 0.2 * losses[0]
    # Drawn word by word, as the course does, the caption is the one of the compiled graph.
    shipped, photo = made["shipped"], made["photo"]
    drawn = made["caption"](shipped.decoder, made["shipped_features"], np.argmax)
    greedy = DecodeConfig(method="greedy", max_length_tokens=30)
    [[expected]] = shipped.caption_bytes([photo.encoded], greedy)
    assert tuple(drawn) == expected.token_ids
