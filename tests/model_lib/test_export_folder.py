import os
from collections.abc import Callable
from pathlib import Path

import pytest

from model_lib.errors import ExportError
from model_lib.export_folder import check_folder, unfinished


def test_a_folder_that_is_missing_or_empty_is_free(tmp_path: Path) -> None:
    assert check_folder(f"{tmp_path}/new/deep/") == tmp_path / "new" / "deep"
    assert check_folder(str(tmp_path)) == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(ExportError, match=f"{taken} is there already.*give another one"):
            check_folder(str(taken))


def test_only_local_folders() -> None:
    with pytest.raises(ExportError, match=r"gs://bucket/model: exports are written locally"):
        check_folder("gs://bucket/model")


def test_the_folder_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "models" / "3"
    with unfinished(target) as part:
        assert part.parent == target.parent
        assert not part.name.isdigit()
        part.mkdir()
        (part / "graph").write_text("whole")
        assert not target.exists()
    assert os.listdir(target.parent) == ["3"]
    assert (target / "graph").read_text() == "whole"


def export_to(target: Path, then: Callable[[], object]) -> None:
    """Makes an export, during which something happens."""
    with unfinished(target) as part:
        part.mkdir()
        then()


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        export_to(tmp_path / "out", fail)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with pytest.raises(ExportError, match="is there already"):
        export_to(target, (target / "other").touch)
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(target) == ["other"]


def test_the_folder_that_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with unfinished(check_folder(".")) as part:
        part.mkdir()
        (part / "graph").touch()
    assert os.listdir(tmp_path / "here") == ["graph"]
