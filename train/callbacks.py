"""Keras callbacks that survive a kill: history, averaged and best weights, early stopping.

They keep their state in the run's folder, not in memory, so that a resumed training decides as
an undisturbed one would.
"""

import csv
import io
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import keras

from train.checkpoints import save_checkpoint
from train.durable_files import replace_text

HISTORY_FILE = "history.csv"
BEST_FILE = "best.weights.h5"
_BEST_VALUE_FILE = "best.json"
_UNFINISHED_FILE = "unfinished.weights.h5"


def read_history(folder: Path) -> list[dict[str, float]]:
    """Reads the logs of finished epochs, one mapping an epoch, key `epoch` included."""
    path = folder / HISTORY_FILE
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]


def trim_history(folder: Path, epochs: int) -> list[dict[str, float]]:
    """Drops logs of epochs whose weights were not saved any more; returns those kept."""
    kept = [row for row in read_history(folder) if row["epoch"] < epochs]
    if not kept:
        (folder / HISTORY_FILE).unlink(missing_ok=True)
        return []
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=list(kept[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "epoch": int(row["epoch"])} for row in kept)
    replace_text(folder / HISTORY_FILE, stream.getvalue())
    return kept


def epochs_without_gain(history: list[dict[str, float]], monitor: str, mode: str) -> int:
    """Returns how many epochs have passed since the best one.

    Losses 3, 2, 2, 2.5 with mode `min` give 2: the second epoch was the best.

    Args:
        history: of `read_history`.
        monitor: name of a log.
        mode: `min` or `max`.
    """
    sign = 1.0 if mode == "max" else -1.0
    best, best_epoch = -math.inf, 0
    for epoch, row in enumerate(history, start=1):
        if sign * row[monitor] > best:  # never true of NaN
            best, best_epoch = sign * row[monitor], epoch
    return len(history) - best_epoch


class EpochSeconds(keras.callbacks.Callback):
    """Adds the log `seconds`: the wall time of the epoch, validation included."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the log; must come before the callbacks that read it."""
        if logs is not None:
            logs["seconds"] = time.monotonic() - self._start


class KeepBest(keras.callbacks.Callback):
    """Saves the weights of one model whenever the monitored value is the best so far.

    It does so at the end of the validation, while the weights are those that were validated,
    and before the epoch is saved: an epoch that is repeated after a kill is judged again.
    """

    def __init__(self, kept: keras.Model, folder: Path, monitor: str, mode: str) -> None:
        """Keeps where and what.

        Args:
            kept: the model whose weights are saved (not the trainer around it).
            folder: of the run.
            monitor: name of a log of the validation, such as `val_word_loss`.
            mode: `min` or `max`.
        """
        super().__init__()
        self._kept = kept
        self._folder = folder
        self._monitor = monitor
        self._sign = 1.0 if mode == "max" else -1.0
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Compares; saves weights, then value, so that a kill between them costs nothing."""
        value = float((logs or {})[self._monitor.removeprefix("val_")])
        best = best_value(self._folder)
        if not self._sign * value > (-math.inf if best is None else self._sign * best):
            return
        self._kept.save_weights(self._folder / _UNFINISHED_FILE)
        os.replace(self._folder / _UNFINISHED_FILE, self._folder / BEST_FILE)
        found = {"epoch": self._epoch + 1, "monitor": self._monitor, "value": value}
        replace_text(self._folder / _BEST_VALUE_FILE, json.dumps(found))


def best_value(folder: Path) -> float | None:
    """Returns the best monitored value of a run so far, or None."""
    path = folder / _BEST_VALUE_FILE
    return float(json.loads(path.read_text())["value"]) if path.exists() else None


class ValidateAverages(keras.callbacks.Callback):
    """Puts the optimizer's moving averages in the weights' place while it is validated.

    `keras.callbacks.SwapEMAWeights` does the same by adding and subtracting, which rounds: there
    the weights after a validation are not those before it, and a resumed training drifts away
    from an undisturbed one.
    """

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keeps the weights aside and puts the averages in."""
        variables = self.model.trainable_variables
        self._raw = [keras.ops.convert_to_numpy(variable) for variable in variables]
        self.model.optimizer.finalize_variable_values(variables)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Puts the weights back; must come after the callback that keeps the best."""
        for variable, value in zip(self.model.trainable_variables, self._raw, strict=True):
            variable.assign(value)


class SaveEpoch(keras.callbacks.Callback):
    """Makes each epoch durable; must come after the logs are written."""

    def __init__(self, folder: Path) -> None:
        """Keeps the folder of checkpoints."""
        super().__init__()
        self._folder = folder

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves the state."""
        save_checkpoint(self.model, self._folder, epoch + 1)


class StopEarly(keras.callbacks.Callback):
    """Stops after some epochs without gain, as the written history says."""

    def __init__(self, folder: Path, monitor: str, mode: str, patience: int) -> None:
        """Keeps when to stop.

        Args:
            folder: of the run.
            monitor: name of a log, such as `val_word_loss`.
            mode: `min` or `max`.
            patience: epochs without gain.
        """
        super().__init__()
        self._folder = folder
        self._monitor = monitor
        self._mode = mode
        self._patience = patience

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Decides; must come after the logs are written."""
        waited = epochs_without_gain(read_history(self._folder), self._monitor, self._mode)
        self.model.stop_training = waited >= self._patience
