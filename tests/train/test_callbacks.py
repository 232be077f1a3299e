"""History, best weights, averages and early stopping, each without a training around it."""

import json
import math

import keras
import numpy as np
import pytest

from train.callbacks import (
    EpochSeconds,
    KeepBest,
    StopEarly,
    ValidateAverages,
    best_value,
    epochs_without_gain,
    read_history,
    trim_history,
)

HISTORY = "epoch,loss,val_loss\n0,3.25,0.1\n1,2.5,0.30000000000000004\n2,2.0,nan\n"


def make_model(value=1.0):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.array([[value]])])
    return model


def test_history_is_read_as_exact_numbers(tmp_path):
    assert read_history(tmp_path) == []
    (tmp_path / "history.csv").write_text(HISTORY)
    first, second, third = read_history(tmp_path)
    assert first == {"epoch": 0, "loss": 3.25, "val_loss": 0.1}
    assert second["val_loss"] == 0.1 + 0.2
    assert math.isnan(third["val_loss"])


@pytest.mark.parametrize("epochs", [3, 2, 1])
def test_epochs_that_were_not_saved_are_dropped(tmp_path, epochs):
    (tmp_path / "history.csv").write_text(HISTORY)
    kept = trim_history(tmp_path, epochs)
    assert [row["epoch"] for row in kept] == list(range(epochs))
    assert (tmp_path / "history.csv").read_text() == "".join(
        HISTORY.splitlines(keepends=True)[: epochs + 1]
    )


def test_no_saved_epoch_means_no_history(tmp_path):
    (tmp_path / "history.csv").write_text(HISTORY)
    assert trim_history(tmp_path, 0) == []
    assert not (tmp_path / "history.csv").exists()
    assert trim_history(tmp_path, 0) == []


@pytest.mark.parametrize(
    ("values", "mode", "expected"),
    [
        ([], "min", 0),
        ([3.0], "min", 0),
        ([3.0, 2.0, 2.0, 2.5], "min", 2),
        ([3.0, 2.0, 2.0, 1.5], "min", 0),
        ([0.1, 0.4, 0.2], "max", 1),
        ([math.nan, math.nan], "min", 2),
        ([2.0, math.nan, 1.0, math.nan], "min", 1),
    ],
)
def test_epochs_without_gain(values, mode, expected):
    assert (
        epochs_without_gain([{"val_loss": value} for value in values], "val_loss", mode) == expected
    )


@pytest.mark.parametrize("mode", ["min", "max"])
def test_it_stops_when_keras_early_stopping_stops(tmp_path, mode):
    random = np.random.default_rng(3)
    for _ in range(30):
        values = random.integers(0, 6, 12).astype(float)
        keras_stop = keras.callbacks.EarlyStopping("val_loss", patience=2, mode=mode)
        keras_stop.set_model(make_model())
        keras_stop.on_train_begin()
        # A fresh object an epoch: nothing is kept in memory, so a resume changes nothing.
        for epoch in range(12):
            keras_stop.on_epoch_end(epoch, {"val_loss": values[epoch]})
            rows = "".join(f"{n},{value}\n" for n, value in enumerate(values[: epoch + 1]))
            (tmp_path / "history.csv").write_text("epoch,val_loss\n" + rows)
            ours = StopEarly(tmp_path, "val_loss", mode, patience=2)
            ours.set_model(make_model())
            ours.on_epoch_end(epoch)
            assert ours.model.stop_training == getattr(keras_stop.model, "stop_training", False)
            if ours.model.stop_training:
                break


def test_seconds_are_added_to_the_logs(monkeypatch):
    callback, logs = EpochSeconds(), {"loss": 1.0}
    times = iter([10.0, 12.5])
    monkeypatch.setattr("train.callbacks.time.monotonic", lambda: next(times))
    callback.on_epoch_begin(0)
    callback.on_epoch_end(0, logs)
    assert logs == {"loss": 1.0, "seconds": 2.5}


def keep(folder, mode, values):
    """Shows validation losses to `KeepBest`, one an epoch; the model's weight is the epoch."""
    model = make_model()
    callback = KeepBest(model, folder, "val_loss", mode)
    for epoch, value in enumerate(values):
        model.set_weights([np.array([[float(epoch)]])])
        callback.on_epoch_begin(epoch)
        callback.on_test_end({"loss": value})
    kept = make_model(-1.0)
    if (folder / "best.weights.h5").exists():
        kept.load_weights(folder / "best.weights.h5")
    return float(kept.get_weights()[0][0, 0])


@pytest.mark.parametrize(
    ("mode", "values", "epoch"),
    [
        ("min", [3.0, 1.0, 2.0, 1.0], 1),
        ("max", [3.0, 1.0, 4.0, 4.0], 2),
        ("min", [math.nan, 5.0, math.nan], 1),
        ("min", [math.nan], -1),
    ],
)
def test_the_best_weights_are_kept(tmp_path, mode, values, epoch):
    assert keep(tmp_path, mode, values) == epoch
    best = None if epoch < 0 else values[epoch]
    assert best_value(tmp_path) == best
    if best is not None:
        found = json.loads((tmp_path / "best.json").read_text())
        assert found == {"epoch": epoch + 1, "monitor": "val_loss", "value": best}
        assert sorted(path.name for path in tmp_path.iterdir()) == ["best.json", "best.weights.h5"]


def test_the_best_so_far_is_read_from_the_folder(tmp_path):
    assert keep(tmp_path, "min", [3.0, 1.0]) == 1
    assert keep(tmp_path, "min", [2.0, 1.5]) == 1
    assert keep(tmp_path, "min", [2.0, 1.5, 0.5]) == 2


def test_averages_take_the_weights_place_and_leave_them_exactly_as_they_were():
    model = make_model(1e-8)
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
    model.compile(optimizer)
    optimizer.build(model.trainable_variables)
    for gradient in (-1.0, -1e4):
        optimizer.apply([keras.ops.array([[gradient]])])
    [raw] = model.get_weights()
    callback = ValidateAverages()
    callback.set_model(model)
    for _ in range(3):
        callback.on_test_begin()
        # One step gives the weight itself, 1; the second 0.75 * 1 + 0.25 * 10001.
        assert float(model.get_weights()[0][0, 0]) == pytest.approx(0.75 + 0.25 * 10001)
        callback.on_test_end()
        assert model.get_weights()[0].tobytes() == raw.tobytes()
