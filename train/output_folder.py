"""The output folder of a training: whose it is, and what it was made with.

Takes the folder and plain JSON values; refuses to mix two trainings, or two versions of the
settings or of the data in one, and shows both values.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_lib.errors import ConfigError
from train.durable_files import replace_text

SETTINGS_FILE = "train_config.json"
INPUTS_FILE = "inputs.json"


def check_output(output: str, settings: Mapping[str, Any], resume: bool) -> None:
    """Checks, before any work, that a training may write there; changes nothing.

    Args:
        output: folder of the training.
        settings: of the training, the data's name included.
        resume: whether to go on with what lies there; an empty or missing folder is all right.

    Raises:
        ConfigError: where something else lies there, a training without `resume`, or one with
            other settings.
    """
    folder = Path(output)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / SETTINGS_FILE).exists():
        raise ConfigError(f"{output} is not empty and holds no training: give another --output")
    if not resume:
        raise ConfigError(f"{output} holds a training already: give --resume or another --output")
    _compare(folder, SETTINGS_FILE, settings)


def record_settings(output: str, settings: Mapping[str, Any]) -> None:
    """Writes the settings down, making the folder, or checks that they are the same."""
    _record(Path(output), SETTINGS_FILE, settings)


def record_inputs(output: str, fingerprints: Mapping[str, str]) -> None:
    """Writes down what the training reads, or checks that it is the same.

    Args:
        output: folder of the training.
        fingerprints: hex sha256 of photos, captions and encoder, by name.

    Raises:
        ConfigError: where photos, captions or encoder have changed since the training began.
    """
    _record(Path(output), INPUTS_FILE, fingerprints)


def _record(folder: Path, name: str, values: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / name).exists():
        _compare(folder, name, values)
    else:
        replace_text(folder / name, json.dumps(values, indent=2) + "\n")


def _compare(folder: Path, name: str, values: Mapping[str, Any]) -> None:
    old = json.loads((folder / name).read_text(encoding="utf-8"))
    changed = [key for key in values if old.get(key) != values[key]]
    if changed:
        shown = ", ".join(f"{key}: was {old.get(key)!r}, is {values[key]!r}" for key in changed)
        raise ConfigError(
            f"{folder} was begun with something else ({shown}): change it back or give another "
            "--output"
        )
