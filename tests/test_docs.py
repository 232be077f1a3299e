"""The code that the documents show is run, on an output folder that the job itself wrote."""

import re
import shutil
from pathlib import Path

import pytest

from beam_jobs import caption_images

DOCS = Path(__file__).resolve().parents[1] / "docs"
PHOTOS = DOCS.parent / "examples" / "photos"


def code_blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, toy_bundle) -> Path:
    made = tmp_path_factory.mktemp("docs")
    shutil.copytree(PHOTOS, made / "photos", ignore=shutil.ignore_patterns("*.md"))
    (made / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        words = "--input photos/ --output captions --metadata_jsonl photos/metadata.jsonl"
        words += f" --bundle {toy_bundle} --no_report --quiet --runner FnApiRunner"
        assert caption_images.main(words.split()) == 0
    (made / "photos" / "broken.jpg").unlink()
    return made


@pytest.mark.parametrize("number", range(len(code_blocks("outputs.md"))))
def test_reading_the_captions(folder, monkeypatch, number):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code = code_blocks("outputs.md")[number]
    printed: list[str] = []
    exec(
        compile(code, f"outputs.md block {number}", "exec"),
        {"print": lambda *v: printed.append(str(v))},
    )
    assert printed
    assert all(len(text) > 2 for text in printed)


def test_explaining_from_python(folder, monkeypatch):
    monkeypatch.chdir(folder)
    [code] = code_blocks("explain.md")
    printed: list[str] = []
    exec(compile(code, "explain.md", "exec"), {"print": lambda *v: printed.append(str(v))})
    assert len(printed) > 3
    assert all("row and column (" in text for text in printed)


def test_the_picture_in_the_documents_is_small_enough_to_ship():
    assert (DOCS / "explain.png").stat().st_size < 300_000
