"""The state of a training after its last whole epoch, kept so that a kill costs one epoch at most.

Takes the model that `fit` sees; leaves one folder `epoch_0003` with its weights, its optimizer's
state, and the states of its random generators, which Keras's own files leave out: without them
a resumed training would draw other dropout masks than an undisturbed one. The folder gets its
name when it is whole, and only then the one before it is deleted.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np

_PREFIX = "epoch_"
_UNFINISHED = "unfinished"
_WEIGHTS_FILE = "trainer.weights.h5"
_RANDOM_FILE = "random_states.npz"


def last_epoch(folder: Path) -> int:
    """Returns the number of the last whole epoch in a folder of checkpoints, 0 for none."""
    return max((int(path.name[len(_PREFIX) :]) for path in folder.glob(_PREFIX + "*")), default=0)


def save_checkpoint(trainer: keras.Model, folder: Path, epoch: int) -> None:
    """Saves a training's state and drops the state before.

    Args:
        trainer: the compiled model.
        folder: of checkpoints, made where it is missing.
        epoch: number of whole epochs so far, 1 or more.
    """
    unfinished = folder / _UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    trainer.save_weights(unfinished / _WEIGHTS_FILE)
    states = [keras.ops.convert_to_numpy(state) for state in random_states(trainer)]
    np.savez(unfinished / _RANDOM_FILE, *states)
    earlier = list(folder.glob(_PREFIX + "*"))
    os.replace(unfinished, folder / f"{_PREFIX}{epoch:04}")
    for path in earlier:
        shutil.rmtree(path)


def load_checkpoint(trainer: keras.Model, folder: Path) -> None:
    """Puts the last checkpoint's state into a compiled model of the same kind.

    Args:
        trainer: its optimizer is built where it is not.
        folder: of checkpoints; `last_epoch` of it is above 0.
    """
    path = folder / f"{_PREFIX}{last_epoch(folder):04}"
    if not trainer.optimizer.built:
        trainer.optimizer.build(trainer.trainable_variables)
    trainer.load_weights(path / _WEIGHTS_FILE)
    with np.load(path / _RANDOM_FILE) as saved:
        for state, name in zip(random_states(trainer), saved.files, strict=True):
            state.assign(saved[name])


def restart_random_states(model: keras.Model) -> None:
    """Puts the random generators back to their beginning: the same seeds, no number drawn."""
    for state in random_states(model):
        seed = keras.ops.convert_to_numpy(state)[0]
        state.assign([seed, 0])


def random_states(model: keras.Model) -> list[Any]:
    """Returns the variables that `fit` draws dropout masks from, in a fixed order."""
    others = {id(variable) for variable in (*model.weights, *model.metrics_variables)}
    return [variable for variable in model.variables if id(variable) not in others]
