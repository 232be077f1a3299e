"""The phases of a training, one after the other; each goes on where it was interrupted.

Takes a decoder (or a `TunedDecoder`, with the encoder's tail before it) and examples; trains it
in place and leaves logs, history and checkpoints in the phase's folder.
"""

from pathlib import Path
from typing import Any, NamedTuple

import keras

from train.batches import CaptionBatches
from train.config import DRAWN_TOKENS, TrainConfig
from train.fitting import Phase, run_phase
from train.rewards import make_reward
from train.self_critical import SampleBatches, SelfCriticalTrainer
from train.trainer import CaptionTrainer, compile_trainer, make_optimizer


class Examples(NamedTuple):
    """A split, ready to train on.

    Attributes:
        features: float16 [N,W,...]: W views of N photos; of the encoder [P,C], or of its head.
        ids: captions int32 [N,K,L+1], of `encode_captions`.
    """

    features: Any
    ids: Any


def train_words(
    config: TrainConfig,
    decoder: keras.Model,
    train: Examples,
    dev: Examples,
    folder: Path,
    verbose: int,
) -> None:
    """Trains by cross-entropy, with the words so far given (teacher forcing)."""
    size = config.batch_size
    padded_length = config.max_length_tokens if config.padding_loss else 0
    batches = CaptionBatches(
        *train,
        size,
        seed=config.seed,
        padded_length=padded_length,
        word_dropout=config.word_dropout,
    )
    dev_batches = CaptionBatches(*dev, size)
    trainer = CaptionTrainer(decoder, padding_loss=config.padding_loss)
    optimizer = make_optimizer(
        config.learning_rate,
        total_steps=config.epochs * len(batches),
        warmup_steps=config.warmup_steps,
        clip_norm=config.clip_norm,
        weight_decay=config.weight_decay,
        ema_momentum=config.ema_momentum,
        decay_to=config.decay_to,
    )
    compile_trainer(trainer, optimizer, config.label_smoothing)
    phase = Phase(folder, config.epochs, config.patience, "val_word_loss", "min")
    run_phase(trainer, decoder, batches, dev_batches, phase, verbose)


def fine_tune(config: TrainConfig, *others: Any) -> None:
    """Does as `train_words`, with the epochs and the rate of the encoder's tail."""
    epochs, rate = config.fine_tune_epochs, config.fine_tune_learning_rate
    train_words(config.replace(epochs=epochs, learning_rate=rate), *others)


def train_rewards(
    config: TrainConfig,
    decoder: keras.Model,
    train: Examples,
    dev: Examples,
    folder: Path,
    verbose: int,
) -> None:
    """Trains on the rewards of sampled captions (self-critical training)."""
    noise_shape = (config.self_critical_samples, DRAWN_TOKENS)
    batches = SampleBatches(train.features, config.batch_size, noise_shape, seed=config.seed)
    dev_batches = SampleBatches(dev.features, config.batch_size, noise_shape)
    trainer = SelfCriticalTrainer(
        decoder,
        make_reward(train.ids.tolist(), config.self_critical_f_mean_weight),
        make_reward(dev.ids.tolist(), config.self_critical_f_mean_weight),
        *noise_shape,
        temperature=config.self_critical_temperature,
        feature_dropout=config.self_critical_feature_dropout,
        seed=config.seed,
    )
    ema_momentum = config.self_critical_ema_momentum
    optimizer = keras.optimizers.Adam(
        config.self_critical_learning_rate,
        global_clipnorm=config.clip_norm or None,
        use_ema=ema_momentum > 0,
        ema_momentum=ema_momentum or 0.99,
    )
    trainer.compile(optimizer=optimizer, jit_compile=False)
    phase = Phase(folder, config.self_critical_epochs, config.patience, "val_reward", "max")
    run_phase(trainer, decoder, batches, dev_batches, phase, verbose)
