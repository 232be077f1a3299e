"""One phase of training with Keras's `fit`: durable after each epoch, resumable after a kill.

Takes a compiled trainer and its batches; leaves in the phase's folder `history.csv`, the best
weights, TensorBoard logs, the state after the last epoch and, when the phase is over,
`done.json`.
"""

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import keras

from train.batches import PhotoBatches
from train.callbacks import (
    BEST_FILE,
    HISTORY_FILE,
    EpochSeconds,
    KeepBest,
    SaveEpoch,
    StopEarly,
    ValidateAverages,
    best_value,
    epochs_without_gain,
    read_history,
    trim_history,
)
from train.checkpoints import last_epoch, load_checkpoint, restart_random_states
from train.durable_files import replace_text
from train.errors import TrainingError

_CHECKPOINT_FOLDER = "checkpoint"
_DONE_FILE = "done.json"
_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Phase:
    """How long a phase lasts and what decides.

    Attributes:
        folder: where its state lies; a phase that lies there half done is gone on with.
        epochs: at most.
        patience: epochs without improvement before it stops.
        monitor: the validation log that decides, such as `val_word_loss`.
        mode: `min` or `max`.
    """

    folder: Path
    epochs: int
    patience: int
    monitor: str
    mode: str


def run_phase(
    trainer: keras.Model,
    decoder: keras.Model,
    batches: PhotoBatches,
    dev_batches: PhotoBatches,
    phase: Phase,
    verbose: int = 2,
) -> None:
    """Trains until the phase is over; the decoder then holds the phase's best weights.

    Args:
        trainer: compiled model around the decoder.
        decoder: whose best weights are kept.
        batches: drawn anew each epoch.
        dev_batches: for validation.
        phase: how long, and what decides.
        verbose: as in `keras.Model.fit`; 2 prints a line an epoch.

    Raises:
        TrainingError: where the validation gave no number in any epoch.
    """
    folder, begun = phase.folder, last_epoch(phase.folder / _CHECKPOINT_FOLDER)
    if begun:
        load_checkpoint(trainer, folder / _CHECKPOINT_FOLDER)
    else:
        restart_random_states(trainer)  # the same masks, were the phases before run now or not
    if not (folder / _DONE_FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        earlier = trim_history(folder, begun)
        if epochs_without_gain(earlier, phase.monitor, phase.mode) < phase.patience:
            trainer.fit(
                batches.to_dataset(),
                validation_data=dev_batches.to_dataset(),
                initial_epoch=begun,
                epochs=phase.epochs,
                callbacks=[_draw_epochs(batches), *_callbacks(trainer, decoder, phase, begun)],
                shuffle=False,  # `start_epoch` draws the order
                verbose=verbose,
            )
        done = {"epochs": len(read_history(folder)), "best": best_value(folder)}
        replace_text(folder / _DONE_FILE, json.dumps(done))
    if best_value(folder) is None:
        raise TrainingError(
            f"{folder}: {phase.monitor} was not a number in any epoch: the training diverged; "
            "give a lower --learning_rate and another --output"
        )
    _logger.info("%s: best %s %s", folder, phase.monitor, best_value(folder))
    decoder.load_weights(folder / BEST_FILE)


def _draw_epochs(batches: PhotoBatches) -> keras.callbacks.Callback:
    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, _: batches.start_epoch(epoch + 1)
    )


def _callbacks(trainer: keras.Model, decoder: keras.Model, phase: Phase, begun: int) -> list[Any]:
    """Makes the callbacks in the order in which they must see the end of validation and epoch.

    The best weights are kept before the averages leave the model, the logs are written before
    the epoch counts as durable.
    """
    folder = phase.folder
    return [
        EpochSeconds(),
        KeepBest(decoder, folder, phase.monitor, phase.mode),
        *([ValidateAverages()] if trainer.optimizer.use_ema else []),
        keras.callbacks.CSVLogger(folder / HISTORY_FILE, append=begun > 0),
        SaveEpoch(folder / _CHECKPOINT_FOLDER),
        keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False),
        StopEarly(folder, phase.monitor, phase.mode, phase.patience),
    ]
