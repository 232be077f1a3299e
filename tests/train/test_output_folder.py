"""Whose an output folder is: refused where two trainings would mix, both values shown."""

import json
import re

import pytest

from model_lib.errors import ConfigError
from train.output_folder import check_output, record_inputs, record_settings

SETTINGS = {"width": 16, "data": "photos/", "limit": None}


@pytest.fixture
def begun(tmp_path):
    """The folder of a training that has begun."""
    record_settings(str(tmp_path / "run"), SETTINGS)
    return tmp_path / "run"


@pytest.mark.parametrize("resume", [False, True])
def test_a_missing_or_empty_folder_is_taken_and_left_as_it_is(tmp_path, resume):
    check_output(str(tmp_path / "new"), SETTINGS, resume)
    check_output(str(tmp_path), SETTINGS, resume)
    assert list(tmp_path.iterdir()) == []


def test_a_training_is_gone_on_with_only_when_asked(begun):
    with pytest.raises(ConfigError, match="run holds a training already: give --resume or"):
        check_output(str(begun), SETTINGS, resume=False)
    check_output(str(begun), SETTINGS, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_something_else_is_refused(tmp_path, resume):
    (tmp_path / "thesis.txt").write_text("chapter 1")
    with pytest.raises(ConfigError, match="is not empty and holds no training"):
        check_output(str(tmp_path), SETTINGS, resume)


def test_changed_settings_are_refused_with_both_values(begun):
    changed = {**SETTINGS, "width": 32, "limit": 5}
    expected = re.escape("(width: was 16, is 32, limit: was None, is 5)")
    with pytest.raises(ConfigError, match=expected):
        check_output(str(begun), changed, resume=True)
    with pytest.raises(ConfigError, match=expected):
        record_settings(str(begun), changed)
    assert json.loads((begun / "train_config.json").read_text()) == SETTINGS


def test_changed_photos_captions_or_encoder_are_refused(begun):
    record_inputs(str(begun), {"encoder": "ab", "train photos": "cd"})
    record_inputs(str(begun), {"encoder": "ab", "train photos": "cd"})
    with pytest.raises(ConfigError, match=r"run was begun with .*train photos: was 'cd', is 'ef'"):
        record_inputs(str(begun), {"encoder": "ab", "train photos": "ef"})
