"""From captioned photos to a bundle: encoder, vocabulary, features, training, saving.

Takes the settings and two splits of a data set; leaves in the output folder

    bundle/             the trained captioner (bundle.json and so on)
    learning_curve.png  beside it
    inputs.json         fingerprints of photos, captions and encoder, compared on resume
    1_cross_entropy/    logs, history and checkpoints of the phases, those that there are
    2_fine_tuning/
    3_self_critical/
"""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from model_lib.bundle import save_bundle
from model_lib.bundle_info import BundleInfo
from model_lib.config import PreprocessConfig
from model_lib.decoder import CaptionDecoder, build_decoder
from model_lib.encoder import build_encoder, load_encoder
from model_lib.tokenizer import Tokenizer
from train.batches import encode_captions
from train.callbacks import read_history
from train.config import TrainConfig
from train.datasets import CaptionDataset
from train.encoder_tail import TunedDecoder, split_encoder
from train.features import cached_features, encoder_fingerprint
from train.learning_curve import draw_learning_curve
from train.output_folder import record_inputs
from train.phases import Examples, fine_tune, train_rewards, train_words

BUNDLE_FOLDER = "bundle"
_logger = logging.getLogger(__name__)


_PHASE_NAMES = {
    train_words: "cross_entropy",
    fine_tune: "fine_tuning",
    train_rewards: "self_critical",
}


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
    load = _loader(config, train_data, dev_data, tokenizer, preprocess, cache_dir)
    examples = load(encoder)
    keras.utils.set_random_seed(config.seed)  # the same weights, were features cached or not
    model = config.model_config()
    decoder = build_decoder(model, len(tokenizer.words), encoder.output_shape[1:])
    history = _train(config, encoder, decoder, examples, load, Path(output), verbose)
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


def _loader(
    config: TrainConfig,
    train_data: CaptionDataset,
    dev_data: CaptionDataset,
    tokenizer: Tokenizer,
    preprocess: PreprocessConfig,
    cache_dir: str,
) -> Callable[[keras.Model], tuple[Examples, Examples]]:
    """Returns a function that gives the examples of train and dev as an encoder sees them."""
    ids = [
        encode_captions(
            data.captions, tokenizer, config.captions_per_image, config.max_length_tokens
        )
        for data in (train_data, dev_data)
    ]

    def load(seen_by: keras.Model) -> tuple[Examples, Examples]:
        train, dev = (
            cached_features(data, seen_by, preprocess, views, cache_dir)
            for data, views in ((train_data, config.views), (dev_data, 1))
        )
        return Examples(train, ids[0]), Examples(dev, ids[1])

    return load


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


def _train(
    config: TrainConfig,
    encoder: keras.Model,
    decoder: CaptionDecoder,
    examples: tuple[Examples, Examples],
    load: Callable[[keras.Model], tuple[Examples, Examples]],
    output: Path,
    verbose: int,
) -> list[dict[str, float]]:
    """Runs the phases, draws the learning curve, returns the logs of all epochs.

    Args:
        config: settings.
        encoder: whose tail is trained where the settings say so.
        decoder: trained in place.
        examples: of train and dev, as the encoder sees them.
        load: gives the examples as the head of the encoder sees them.
        output: gets a folder for each phase.
        verbose: as in `keras.Model.fit`.
    """
    learner: keras.Model = decoder
    phases: list[Callable[..., None]] = [train_words]
    if config.fine_tune_from:
        phases.append(fine_tune)
    if config.self_critical_epochs:
        phases.append(train_rewards)
    history: list[dict[str, float]] = []
    for number, run in enumerate(phases, start=1):
        if run is fine_tune:
            head, tail = split_encoder(encoder, config.fine_tune_from)
            learner, examples = TunedDecoder(tail, decoder), load(head)
        folder = output / f"{number}_{_PHASE_NAMES[run]}"
        run(config, learner, *examples, folder, verbose)
        history += read_history(folder)
        draw_learning_curve(history, output / "learning_curve.png")
    if isinstance(learner, TunedDecoder):
        learner.tail.trainable = False  # frozen again, as every encoder in a bundle
    return history
