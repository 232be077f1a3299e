"""One phase: whatever moment it is killed at, it ends as an undisturbed one would.

The model is a small dense network with dropout, trained on made-up features; the kills are
exceptions at chosen moments (test_train_captioner.py kills real processes).
"""

import json

import keras
import numpy as np
import pytest

from train import fitting
from train.batches import PhotoBatches
from train.callbacks import read_history
from train.checkpoints import last_epoch, random_states
from train.errors import TrainingError
from train.fitting import Phase, run_phase

FEATURES = np.random.default_rng(0).normal(0, 1, (20, 2, 1, 3)).astype(np.float16)
TARGETS = FEATURES[:, 0, 0].sum(axis=-1, keepdims=True).astype(np.float32)


class SumBatches(PhotoBatches):
    """Features of a photo, and their sum to learn."""

    def __getitem__(self, index):
        rows, features = self.read(index)
        return features[:, 0].astype(np.float32), TARGETS[rows]


class Killed(Exception):
    """Stands for the end of the process."""


class Recorder(keras.callbacks.Callback):
    """Keeps the weights after every batch."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.model.get_weights())


class KillAt(keras.callbacks.Callback):
    """Raises at the end of an epoch, or of its third batch."""

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.epoch, self.batch, self.now = epoch, batch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.batch):
            raise Killed

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Killed


def run(folder, extra=None, place=None, epochs=5, patience=5, dev=FEATURES, rate=0.1):
    """Runs a phase in a model made anew, as a new process would; returns the trainer.

    `extra` is a callback put before the place-th of the phase's own.
    """
    keras.utils.set_random_seed(1)
    decoder = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )
    decoder.compile(keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.7), "mse")
    batches = SumBatches(FEATURES, 5, seed=1)
    phase = Phase(folder, epochs, patience, "val_loss", "min")
    with pytest.MonkeyPatch.context() as patch:
        if extra is not None:
            own = fitting._callbacks

            def with_extra(*arguments):
                callbacks = own(*arguments)
                callbacks.insert(len(callbacks) if place is None else place, extra)
                return callbacks

            patch.setattr(fitting, "_callbacks", with_extra)
        run_phase(decoder, decoder, batches, SumBatches(dev, 7), phase, verbose=0)
    return decoder


def outcome(folder, trainer):
    """All that a phase leaves, but for the time that it took."""
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in read_history(folder)]
    states = [np.asarray(v).tolist() for v in (*trainer.weights, *random_states(trainer))]
    done = [json.loads((folder / name).read_text()) for name in ("done.json", "best.json")]
    return history, states, done, last_epoch(folder / "checkpoint")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Folder, trainer and weights by batch of a phase of 5 epochs of 4 batches."""
    folder, recorder = tmp_path_factory.mktemp("phase") / "run", Recorder()
    return folder, run(folder, recorder), recorder.weights


def test_a_phase_leaves_its_logs_and_its_last_epoch(undisturbed):
    folder, _, _ = undisturbed
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("best.json", "best.weights.h5", "done.json", "history.csv"),
        *("checkpoint", "tensorboard"),
    }
    history = read_history(folder)
    assert [row["epoch"] for row in history] == [0, 1, 2, 3, 4]
    assert set(history[0]) == {"epoch", "loss", "val_loss", "seconds"}
    assert history[-1]["val_loss"] < history[0]["val_loss"]
    done = json.loads((folder / "done.json").read_text())
    assert done == {"epochs": 5, "best": min(row["val_loss"] for row in history)}
    assert list(folder.glob("tensorboard/*/events*")) != []


def test_the_weights_kept_are_the_averages_of_the_best_epoch(undisturbed):
    folder, trainer, weights = undisturbed
    best_epoch = json.loads((folder / "best.json").read_text())["epoch"]
    assert best_epoch > 1
    averages = weights[0]
    for later in weights[1 : 4 * best_epoch]:
        averages = [0.7 * a + 0.3 * w for a, w in zip(averages, later, strict=True)]
    raw = weights[4 * best_epoch - 1]
    for found, average, last in zip(trainer.get_weights(), averages, raw, strict=True):
        np.testing.assert_allclose(found, average, atol=1e-6)
        assert np.abs(found - last).max() > 1e-4


def test_a_finished_phase_only_loads_its_best_weights(undisturbed):
    folder, trainer, _ = undisturbed
    expected = outcome(folder, trainer)
    assert outcome(folder, run(folder, KillAt(4))) == expected


MOMENTS = {
    "in the first epoch": [(KillAt(0, 2), None)],
    "in the third epoch": [(KillAt(2, 2), None)],
    "twice": [(KillAt(1, 1), None), (KillAt(3, 0), None)],
    "before the logs are written": [(KillAt(2), 3)],
    "between logs and checkpoint": [(KillAt(2), 4)],
    "after the checkpoint": [(KillAt(2), 5)],
    "after the last epoch": [(KillAt(4), None)],
}


@pytest.mark.parametrize("kills", MOMENTS.values(), ids=MOMENTS)
def test_a_killed_phase_ends_as_an_undisturbed_one(undisturbed, tmp_path, kills):
    for extra, place in kills:
        with pytest.raises(Killed):
            run(tmp_path / "run", extra, place)
    resumed = run(tmp_path / "run")
    assert outcome(tmp_path / "run", resumed) == outcome(*undisturbed[:2])


def test_a_phase_that_stopped_early_and_was_killed_then_trains_no_more(tmp_path):
    # A validation that has nothing to do with the training gets worse at some time.
    noise = FEATURES[::-1]
    settings = {"epochs": 30, "patience": 2, "dev": noise}
    trainer = run(tmp_path / "whole", **settings)
    history = read_history(tmp_path / "whole")
    values = [row["val_loss"] for row in history]
    assert 3 <= len(history) < 30
    assert values.index(min(values)) == len(history) - 3
    with pytest.raises(Killed):
        run(tmp_path / "killed", KillAt(len(history) - 1), **settings)
    resumed = run(tmp_path / "killed", **settings)
    assert outcome(tmp_path / "killed", resumed) == outcome(tmp_path / "whole", trainer)


def test_a_training_that_diverges_says_so(tmp_path):
    with pytest.raises(TrainingError, match=r"run: val_loss was not a number in any epoch"):
        run(tmp_path / "run", rate=float("nan"), patience=2)
    assert len(read_history(tmp_path / "run")) == 2
