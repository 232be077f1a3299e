"""Self-critical training: its arithmetic, and that it raises the reward of a toy."""

import keras
import numpy as np
import pytest

from model_lib.config import DecodeConfig, ModelConfig
from model_lib.decoder import build_decoder
from model_lib.tokenizer import END_ID, START_ID, Tokenizer
from train.batches import encode_captions
from train.callbacks import read_history
from train.cider_reward import CiderReward
from train.fitting import Phase, run_phase
from train.self_critical import SampleBatches, SelfCriticalTrainer, leave_one_out
from train.trainer import has_next_word

CAPTIONS = [("red circle",), ("green square",), ("blue circle",), ("red triangle on blue",)]
TOKENIZER = Tokenizer.from_captions(text for texts in CAPTIONS for text in texts)
IDS = encode_captions(CAPTIONS, TOKENIZER, 1, 10)
FEATURES = np.random.default_rng(4).normal(0, 1, (4, 1, 3, 5)).astype(np.float16)
NOISE = (8, 6)


def make_trainer(reward=None, rate=0.02, temperature=1.0, feature_dropout=0.0):
    keras.utils.set_random_seed(1)
    config = ModelConfig(encoder="toy", pixel_scaling="file", width=16, initial_state="image")
    decoder = build_decoder(config, len(TOKENIZER.words), FEATURES.shape[2:])
    reward = reward or CiderReward(IDS.tolist())
    trainer = SelfCriticalTrainer(
        decoder, reward, reward, *NOISE, temperature, feature_dropout, seed=5
    )
    trainer.compile(keras.optimizers.Adam(rate), jit_compile=False)
    return trainer


def test_advantages_compare_with_the_mean_of_the_siblings():
    found = leave_one_out(np.array([[1.0, 2.0, 6.0], [3.0, 3.0, 3.0]], np.float32))
    np.testing.assert_allclose(found, [[1 - 4, 2 - 3.5, 6 - 1.5], [0, 0, 0]])


def test_noise_depends_on_seed_epoch_and_batch_alone():
    def noise(seed, epoch, index):
        batches = SampleBatches(FEATURES, 2, NOISE, seed=seed)
        batches.start_epoch(epoch)
        (features, uniforms), rows = batches[index]
        assert (features.shape, uniforms.shape, rows.dtype) == ((2, 3, 5), (2, 8, 6), np.int32)
        np.testing.assert_array_equal(features, FEATURES[rows, 0])
        return uniforms.tobytes()

    seeds = [(1, 1, 0), (1, 1, 1), (1, 2, 0), (2, 1, 0)]
    assert len({noise(*seed) for seed in seeds}) == 4
    assert noise(1, 2, 0) == noise(1, 2, 0)


def test_equal_rewards_change_no_weight():
    trainer = make_trainer(lambda ids, rows: np.full(ids.shape[:2], 2.5, np.float32))
    before = trainer.get_weights()
    logs = trainer.train_step(SampleBatches(FEATURES, 4, NOISE, seed=1)[0])
    assert float(logs["reward"]) == 2.5
    for old, new in zip(before, trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_step_makes_the_rewarded_caption_likelier():
    drawn = []

    def first_is_best(ids, rows):
        drawn.append(ids.copy())
        rewards = np.zeros(ids.shape[:2], np.float32)
        rewards[:, 0] = 1.0
        return rewards

    trainer = make_trainer(first_is_best, rate=1e-3)
    batch = SampleBatches(FEATURES, 4, NOISE, seed=1)[0]
    trainer.train_step(batch)
    ids = drawn[0]
    words = np.concatenate([np.full((4, 8, 1), 2), ids[..., :-1]], axis=-1)
    fresh = make_trainer(first_is_best).decoder

    def log_probs(decoder):
        scores = keras.ops.log_softmax(decoder((batch[0][0], words)), axis=-1)
        chosen = np.take_along_axis(np.asarray(scores), ids[..., np.newaxis], -1)[..., 0]
        return (chosen * (ids != 0)).sum(axis=-1)  # [B,N]

    gain = log_probs(trainer.decoder) - log_probs(fresh)
    assert (gain[:, 0] - gain[:, 1:].mean(axis=1) > 0).all()


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_policy_is_exactly_the_distribution_that_is_sampled_from(temperature):
    trainer = make_trainer(temperature=temperature)
    # A strong wish to end at once, which sampling does not grant, tells the two apart.
    bias = trainer.decoder.logits.bias
    bias.assign(np.eye(len(TOKENIZER.words))[END_ID] * 1.5)
    (features, uniforms), _ = SampleBatches(FEATURES, 4, (2000, 3), seed=1)[0]
    sampling = DecodeConfig(
        method="sample", num_captions=2000, max_length_tokens=3, temperature=temperature
    )
    ids = trainer._draw(features, sampling, uniforms).numpy()
    words = np.concatenate([np.full((4, 2000, 1), START_ID), ids[..., :-1]], axis=-1)
    real = np.asarray(has_next_word(words))
    probs = np.zeros((*ids.shape, len(TOKENIZER.words)))
    probs[real] = keras.ops.softmax(trainer._policy_logits(features, words))
    assert (ids[..., 0] != END_ID).all()
    assert (probs[..., 0, END_ID] == 0).all()
    for place in range(3):
        drawn = np.stack(
            [np.bincount(photo[photo > 0], minlength=probs.shape[-1]) for photo in ids[..., place]]
        )
        expected = probs[..., place, :].sum(axis=1)
        # Counts of 2000 draws: a standard deviation is at most 22.
        np.testing.assert_allclose(drawn, expected, atol=110)


def test_a_photo_loses_whole_channels_and_a_seed_says_which():
    trainer = make_trainer(feature_dropout=0.25)
    features = np.random.default_rng(0).uniform(1, 2, (50, 3, 40)).astype(np.float16)
    found = trainer._dropped(features, np.array([1, 2])).numpy()
    lost = (found == 0).all(axis=1)
    assert lost.mean() == pytest.approx(0.25, abs=0.04)
    assert len({photo.tobytes() for photo in lost}) == 50
    kept = np.broadcast_to(~lost[:, np.newaxis], features.shape)
    np.testing.assert_allclose(found[kept], features[kept] / 0.75, rtol=1e-3)
    assert (found[~kept] == 0).all()
    np.testing.assert_array_equal(trainer._dropped(features, np.array([1, 2])), found)
    assert not np.array_equal(trainer._dropped(features, np.array([1, 3])), found)
    np.testing.assert_array_equal(make_trainer()._dropped(features, np.array([1, 2])), features)


def test_captions_are_drawn_from_the_features_that_are_trained_on(monkeypatch):
    trainer = make_trainer(feature_dropout=0.5)
    seen = []
    draw, logits = trainer._draw, trainer._policy_logits
    monkeypatch.setattr(trainer, "_draw", lambda f, *a: seen.append(f.numpy()) or draw(f, *a))
    monkeypatch.setattr(
        trainer, "_policy_logits", lambda f, *a: seen.append(f.numpy()) or logits(f, *a)
    )
    for _ in range(2):
        trainer.train_step(SampleBatches(FEATURES, 4, NOISE, seed=1)[0])
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[2], seen[3])
    assert not np.array_equal(seen[0] == 0, seen[2] == 0)
    assert 0 < (seen[0] == 0).mean() < 1


def test_the_reward_rises_on_a_toy(tmp_path):
    trainer = make_trainer()
    phase = Phase(tmp_path / "run", 40, 40, "val_reward", "max")
    batches = SampleBatches(FEATURES, 4, NOISE, seed=1)
    run_phase(trainer, trainer.decoder, batches, SampleBatches(FEATURES, 3, NOISE), phase, 0)
    history = read_history(tmp_path / "run")
    assert set(history[0]) == {"epoch", "reward", "val_reward", "seconds"}
    rewards = [row["reward"] for row in history]
    greedy = [row["val_reward"] for row in history]
    assert np.mean(rewards[:5]) < 1.0 < 3.0 < np.mean(rewards[-5:])
    assert max(greedy) > 5.0
    # The decoder has the weights of the best epoch: its greedy captions have that reward.
    found = trainer.evaluate(SampleBatches(FEATURES, 4, NOISE), verbose=0, return_dict=True)
    assert found["reward"] == pytest.approx(max(greedy), abs=1e-5)
