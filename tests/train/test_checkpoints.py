"""A checkpoint holds all that the next epoch depends on, dropout's random state included."""

import keras
import numpy as np
import pytest

from train.checkpoints import last_epoch, load_checkpoint, random_states, save_checkpoint

INPUTS = np.ones((4, 3), np.float32)


@pytest.fixture
def make_model():
    def make(seed):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(8), keras.layers.Dropout(0.5)]
        )
        model.compile(keras.optimizers.Adam(0.1, use_ema=True), "mse", run_eagerly=True)
        return model

    return make


def step(model):
    model.reset_metrics()
    return model.train_on_batch(INPUTS, np.zeros((4, 8), np.float32))


def state(model):
    return [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


def test_a_loaded_model_goes_on_exactly_as_the_saved_one(tmp_path, make_model):
    saved, loaded = make_model(1), make_model(2)
    step(saved)
    save_checkpoint(saved, tmp_path, 1)
    load_checkpoint(loaded, tmp_path)
    for _ in range(2):
        losses = [step(model) for model in (saved, loaded)]
        assert losses[0] == losses[1]
        for one, other in zip(state(saved), state(loaded), strict=True):
            np.testing.assert_array_equal(one, other)


def test_random_states_are_those_that_keras_files_leave_out(make_model):
    model = make_model(1)
    [found] = random_states(model)
    before = np.asarray(found).copy()
    step(model)
    assert "seed_generator" in found.path
    assert (np.asarray(found) != before).any()


def test_only_the_last_whole_epoch_is_kept(tmp_path, make_model):
    folder = tmp_path / "checkpoint"
    assert last_epoch(folder) == 0
    model = make_model(1)
    for epoch in (1, 2, 12):
        step(model)
        save_checkpoint(model, folder, epoch)
        assert [path.name for path in folder.iterdir()] == [f"epoch_{epoch:04}"]
        assert last_epoch(folder) == epoch


def test_a_kill_while_saving_costs_only_the_unfinished_one(tmp_path, make_model, monkeypatch):
    model, other = make_model(1), make_model(2)
    step(model)
    save_checkpoint(model, tmp_path, 1)
    expected = state(model)
    step(model)
    with monkeypatch.context() as patch:
        patch.setattr("train.checkpoints.np.savez", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            save_checkpoint(model, tmp_path, 2)
    assert last_epoch(tmp_path) == 1
    load_checkpoint(other, tmp_path)
    for one, two in zip(state(other), expected, strict=True):
        np.testing.assert_array_equal(one, two)
    save_checkpoint(model, tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_0002"]


def test_a_kill_before_the_older_one_is_deleted_leaves_the_newer_one(
    tmp_path, make_model, monkeypatch
):
    model = make_model(1)
    step(model)
    save_checkpoint(model, tmp_path, 1)
    with monkeypatch.context() as patch:
        patch.setattr("train.checkpoints.shutil.rmtree", lambda path, **_: None)
        save_checkpoint(model, tmp_path, 2)
    assert last_epoch(tmp_path) == 2
    save_checkpoint(model, tmp_path, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_0003"]
