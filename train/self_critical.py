"""Self-critical training: after cross-entropy, raise the reward of sampled captions.

Each step samples N captions a photo, rewards each by the photo's five (`train.rewards`),
and makes those better than the mean of their siblings likelier (REINFORCE with a leave-one-out
baseline). Sources: Rennie et al. 2017, https://arxiv.org/abs/1612.00563; the baseline is Luo's,
2020, https://arxiv.org/abs/2003.09971.

Legend: B photos, N samples a photo, T most tokens, P positions, C channels, M drawn words.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model_lib import decoding
from model_lib.config import DecodeConfig
from model_lib.tokenizer import END_ID, START_ID
from train.batches import PhotoBatches
from train.encoder_tail import TunedDecoder
from train.rewards import Reward
from train.trainer import CaptionTrainer, has_next_word


class SelfCriticalTrainer(keras.Model):
    """Trains a decoder on rewards; validation measures the reward of greedy captions."""

    def __init__(
        self,
        decoder: Any,
        train_reward: Reward,
        dev_reward: Reward,
        samples: int,
        max_length_tokens: int,
        temperature: float = 1.0,
        feature_dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Keeps the parts.

        Args:
            decoder: a trained `CaptionDecoder` or `TunedDecoder`, trained further in place.
            train_reward: rewards of the training photos.
            dev_reward: rewards of the validation photos.
            samples: N, captions sampled a photo, at least 2.
            max_length_tokens: T.
            temperature: of the policy: logits are divided by it for sampling and in the loss.
            feature_dropout: share of the features' channels that a photo loses in a step, at all
                positions (as `keras.layers.SpatialDropout1D`). The captions are drawn from, and
                the loss is of, the same features, so this stays exact where other dropout is not;
                it keeps the model from telling the training photos apart.
            seed: of this dropout.
        """
        super().__init__(name="self_critical")
        self.decoder = decoder
        is_tuned = isinstance(decoder, TunedDecoder)
        self._encode = decoder.features if is_tuned else _unchanged
        self._words = decoder.decoder if is_tuned else decoder
        self.teacher = CaptionTrainer(self._words)
        self._feature_dropout = feature_dropout
        self._dropout_seeds = keras.random.SeedGenerator(seed)
        self._train_reward = train_reward
        self._dev_reward = dev_reward
        self._sampling = DecodeConfig(
            method="sample",
            num_captions=samples,
            max_length_tokens=max_length_tokens,
            temperature=temperature,
        )
        self._greedy = DecodeConfig(method="greedy", max_length_tokens=max_length_tokens)
        self._mean_reward = keras.metrics.Mean(name="reward")
        self.built = True

    @property
    def metrics(self) -> list[Any]:
        """The metrics that Keras resets each epoch."""
        return [self._mean_reward]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Scores words as `CaptionTrainer` does."""
        features, ids = inputs
        return self.teacher((self._encode(features), ids), training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Samples, rewards and updates; data is ((features, uniforms [B,N,T]), rows [B])."""
        (features, uniforms), rows = data
        seed = tf.cast(self._dropout_seeds.next(), tf.int32)
        ids = self._draw(self._dropped(self._encode(features), seed), self._sampling, uniforms)
        rewards = self._rewards(self._train_reward, ids, rows)
        ids = ids[..., : tf.reduce_max(tf.math.count_nonzero(ids, axis=-1))]
        words = tf.concat([tf.fill(tf.shape(ids[..., :1]), START_ID), ids[..., :-1]], axis=-1)
        real = has_next_word(words)
        advantages = tf.boolean_mask(
            tf.broadcast_to(leave_one_out(rewards)[..., tf.newaxis], tf.shape(ids)), real
        )
        with tf.GradientTape() as tape:
            logits = self._policy_logits(self._dropped(self._encode(features), seed), words)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                tf.boolean_mask(ids, real), logits
            )
            loss = tf.reduce_mean(losses * advantages)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self._mean_reward.update_state(rewards)
        return {"reward": self._mean_reward.result()}

    def test_step(self, data: Any) -> dict[str, Any]:
        """Measures the reward of greedy captions."""
        (features, _), rows = data
        ids = self._draw(self._encode(features), self._greedy, None)
        self._mean_reward.update_state(self._rewards(self._dev_reward, ids, rows))
        return {"reward": self._mean_reward.result()}

    def _policy_logits(self, features: Any, words: Any) -> Any:
        """Returns logits [M,V] of exactly the distribution that was sampled from.

        No dropout, the same temperature, and none of the words that are never drawn: with a
        policy that differs from the sampled one, captions grew shorter until they fell apart.
        """
        logits = self.teacher((features, words), training=False) / self._sampling.temperature
        next_words = tf.range(tf.shape(logits)[-1])
        never = next_words <= START_ID  # padding, unknown, <start>
        is_first = tf.boolean_mask(words, has_next_word(words)) == START_ID
        never |= is_first[:, tf.newaxis] & (next_words == END_ID)  # a caption has a word at least
        return tf.where(never, logits.dtype.min, logits)

    def _dropped(self, features: Any, seed: Any) -> Any:
        """Takes channels of features [B,P,C] away; the same seed takes the same ones."""
        if not self._feature_dropout:
            return features
        images, _, channels = tf.unstack(tf.shape(features))
        return tf.nn.experimental.stateless_dropout(
            tf.cast(features, tf.float32),
            self._feature_dropout,
            seed,
            noise_shape=[images, 1, channels],
        )

    def _draw(self, features: Any, config: DecodeConfig, uniforms: Any) -> Any:
        memory = self._words.start(features)
        found = decoding.decode(
            lambda tokens, state: self._words.step(tokens, state, memory),
            memory.initial_state,
            config,
            uniforms=uniforms,
        )
        return found.token_ids

    def _rewards(self, reward: Reward, ids: Any, rows: Any) -> Any:
        rewards = tf.numpy_function(reward, [ids, rows], tf.float32)
        return tf.ensure_shape(rewards, ids.shape[:2])


def _unchanged(features: Any) -> Any:
    return features


def leave_one_out(rewards: Any) -> Any:
    """Compares each caption's reward with the mean of the photo's other captions.

    `[[1, 2, 6]]` -> `[[1 - 4, 2 - 3.5, 6 - 1.5]]`.

    Args:
        rewards: float [B,N], N at least 2.

    Returns:
        Advantages float [B,N]; those of a photo add up to 0.
    """
    siblings = tf.cast(tf.shape(rewards)[1] - 1, tf.float32)
    baseline = (tf.reduce_sum(rewards, axis=1, keepdims=True) - rewards) / siblings
    return rewards - baseline


class SampleBatches(PhotoBatches):
    """Batches for self-critical training: features, and random numbers to sample with."""

    def __init__(
        self,
        features: np.ndarray[Any, Any],
        batch_size: int,
        noise_shape: tuple[int, int],
        *,
        seed: int | None = None,
    ) -> None:
        """Keeps references; nothing is read yet.

        Args:
            features: float16 [N,W,P,C], usually memory-mapped.
            batch_size: photos a batch.
            noise_shape: (samples, T): random numbers a photo.
            seed: as for `PhotoBatches`.
        """
        super().__init__(features, batch_size, seed=seed)
        self._noise_shape = noise_shape

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Reads one batch: ((features [B,P,C], uniforms [B,N,T]), rows int32 [B])."""
        rows, features = self.read(index)
        random = np.random.default_rng([self.seed or 0, self.epoch, index, 1])
        uniforms = random.random((len(rows), *self._noise_shape), np.float32)
        return (features, uniforms), rows.astype(np.int32)
