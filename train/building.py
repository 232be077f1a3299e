"""From captioned photos to a bundle: encoder, vocabulary, features, training, saving.

Takes the settings and two splits of a data set; leaves in the output folder

    bundle/             the trained captioner (bundle.json and so on)
    learning_curve.png  beside it
    inputs.json         fingerprints of photos, captions and encoder, compared on resume
    1_cross_entropy/    logs, history and checkpoints of the phases
    2_self_critical/
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

import keras

from model_lib.bundle import save_bundle
from model_lib.bundle_info import BundleInfo
from model_lib.config import PreprocessConfig
from model_lib.decoder import CaptionDecoder, build_decoder
from model_lib.encoder import build_encoder, load_encoder
from model_lib.tokenizer import Tokenizer
from train.batches import CaptionBatches, encode_captions
from train.callbacks import read_history
from train.cider_reward import CiderReward
from train.config import DRAWN_TOKENS, TrainConfig
from train.datasets import CaptionDataset
from train.features import cached_features, encoder_fingerprint
from train.fitting import Phase, run_phase
from train.learning_curve import draw_learning_curve
from train.output_folder import record_inputs
from train.self_critical import SampleBatches, SelfCriticalTrainer
from train.trainer import CaptionTrainer, compile_trainer, make_optimizer

BUNDLE_FOLDER = "bundle"
_logger = logging.getLogger(__name__)


class Examples(NamedTuple):
    """A split, ready to train on: features float16 [N,W,P,C] and ids int32 [N,K,L+1]."""

    features: Any
    ids: Any


def make_encoder(config: TrainConfig) -> tuple[keras.Model, PreprocessConfig]:
    """Builds or loads the frozen encoder; returns it with the preprocessing it needs."""
    if config.has_encoder_file:
        encoder = load_encoder(config.encoder)
    else:
        weights = None if config.encoder_weights == "none" else config.encoder_weights
        size = config.image_size or 299
        encoder = build_encoder(config.encoder, size, weights, config.pixel_scaling)
    return encoder, PreprocessConfig(image_size=encoder.input_shape[1], fit=config.fit)


def make_tokenizer(config: TrainConfig, captions: list[tuple[str, ...]]) -> Tokenizer:
    """Makes the vocabulary of the captions that are trained on."""
    used = (text for texts in captions for text in texts[: config.captions_per_image])
    return Tokenizer.from_captions(
        used, config.max_vocabulary, config.min_count, config.standardize
    )


def build_bundle(
    config: TrainConfig,
    train_data: CaptionDataset,
    dev_data: CaptionDataset,
    output: str,
    cache_dir: str,
    provenance: dict[str, Any],
    verbose: int = 2,
) -> BundleInfo:
    """Trains a captioner and saves it as `output`/bundle; goes on where it was interrupted.

    Args:
        config: settings.
        train_data: photos to learn from.
        dev_data: photos that choose the epoch.
        output: folder, made where it is missing; one that `output_folder.check_output` lets pass.
        cache_dir: folder of feature caches, may be shared.
        provenance: what the bundle says of its origin.
        verbose: as in `keras.Model.fit`.

    Returns:
        What the bundle says of itself.

    Raises:
        CaptioningError: where encoder, photos or captions are wrong, have changed since the
            training began, or it diverged.
    """
    keras.utils.clear_session()  # names of layers, which fingerprints hold, begin at 1 again
    keras.utils.set_random_seed(config.seed)
    encoder, preprocess = make_encoder(config)
    record_inputs(output, _fingerprints(encoder, train_data, dev_data))
    tokenizer = make_tokenizer(config, train_data.captions)
    _logger.info("vocabulary: %d words", len(tokenizer.words))
    train, dev = (
        Examples(
            cached_features(data, encoder, preprocess, views, cache_dir),
            encode_captions(
                data.captions, tokenizer, config.captions_per_image, config.max_length_tokens
            ),
        )
        for data, views in ((train_data, config.views), (dev_data, 1))
    )
    keras.utils.set_random_seed(config.seed)  # the same weights, were features cached or not
    model = config.model_config()
    decoder = build_decoder(model, len(tokenizer.words), encoder.output_shape[1:])
    history = _train_decoder(config, decoder, train, dev, Path(output), verbose)
    return save_bundle(
        str(Path(output) / BUNDLE_FOLDER),
        name=config.name,
        encoder=encoder,
        decoder=decoder,
        tokenizer=tokenizer,
        model=model,
        preprocess=preprocess,
        decode=config.decode_config(),
        model_card=f"# {config.name}\n\nNot evaluated yet.\n",
        provenance={**provenance, "train_seconds": round(sum(r["seconds"] for r in history))},
    )


def _fingerprints(
    encoder: keras.Model, train_data: CaptionDataset, dev_data: CaptionDataset
) -> dict[str, str]:
    """Tells by hex sha256 what is learned from; a change would give another training."""
    fingerprints = {"encoder": encoder_fingerprint(encoder)}
    for split, data in (("train", train_data), ("dev", dev_data)):
        fingerprints[f"{split} photos"] = data.fingerprint()
        text = json.dumps(data.captions)
        fingerprints[f"{split} captions"] = hashlib.sha256(text.encode()).hexdigest()
    return fingerprints


def _train_decoder(
    config: TrainConfig,
    decoder: CaptionDecoder,
    train: Examples,
    dev: Examples,
    output: Path,
    verbose: int,
) -> list[dict[str, float]]:
    """Runs the phases, draws the learning curve, returns the logs of all epochs."""
    phases = [("1_cross_entropy", _train_words)]
    if config.self_critical_epochs:
        phases.append(("2_self_critical", _train_rewards))
    history: list[dict[str, float]] = []
    for name, run in phases:
        run(config, decoder, train, dev, output / name, verbose)
        history += read_history(output / name)
        draw_learning_curve(history, output / "learning_curve.png")
    return history


def _train_words(
    config: TrainConfig,
    decoder: CaptionDecoder,
    train: Examples,
    dev: Examples,
    folder: Path,
    verbose: int,
) -> None:
    """Phase 1: cross-entropy by teacher forcing."""
    size = config.batch_size
    padded_length = config.max_length_tokens if config.padding_loss else 0
    batches = CaptionBatches(*train, size, seed=config.seed, padded_length=padded_length)
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


def _train_rewards(
    config: TrainConfig,
    decoder: CaptionDecoder,
    train: Examples,
    dev: Examples,
    folder: Path,
    verbose: int,
) -> None:
    """Phase 2: self-critical training on CIDEr-D."""
    noise_shape = (config.self_critical_samples, DRAWN_TOKENS)
    batches = SampleBatches(train.features, config.batch_size, noise_shape, seed=config.seed)
    dev_batches = SampleBatches(dev.features, config.batch_size, noise_shape)
    trainer = SelfCriticalTrainer(
        decoder,
        CiderReward(train.ids.tolist()),
        CiderReward(dev.ids.tolist()),
        *noise_shape,
        temperature=config.self_critical_temperature,
    )
    rate = config.self_critical_learning_rate
    trainer.compile(
        optimizer=keras.optimizers.Adam(rate, global_clipnorm=config.clip_norm or None),
        jit_compile=False,
    )
    phase = Phase(folder, config.self_critical_epochs, config.patience, "val_reward", "max")
    run_phase(trainer, decoder, batches, dev_batches, phase, verbose)
