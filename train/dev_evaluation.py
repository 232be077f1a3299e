"""After training: captions of the dev photos, their scores, and the finished bundle.

Takes the output folder of a training; completes its bundle with metrics and model card and
leaves beside it the captions and a picture of what their scores mean.
"""

import logging
from pathlib import Path

from model_lib.bundle import annotate_bundle, load_bundle
from train.building import BUNDLE_FOLDER
from train.calibration import draw_reliability, reliability
from train.caption_quality import score_meaning
from train.config import TrainConfig
from train.datasets import CaptionDataset
from train.errors import JavaMissingError
from train.java_tools import find_java
from train.metrics import measure_captions
from train.model_card import best_and_worst, write_model_card
from train.predictions import predict, write_predictions

PREDICTIONS_FILE = "dev.predictions.jsonl"
RELIABILITY_FILE = "reliability.png"
_BATCH_SIZE = 32
_logger = logging.getLogger(__name__)


def evaluate_bundle(
    output: str, config: TrainConfig, train_data: CaptionDataset, dev_data: CaptionDataset
) -> dict[str, float]:
    """Scores a fresh bundle as it will be used: from encoded photos, with its own decoding.

    Args:
        output: folder of the training.
        config: its settings.
        train_data: what it learned from.
        dev_data: the photos to caption.

    Returns:
        Value by metric; without METEOR where there is no Java (a warning says so).
    """
    bundle = str(Path(output) / BUNDLE_FOLDER)
    captioner = load_bundle(bundle)
    stream = predict(captioner, dev_data, captioner.info.decode, _BATCH_SIZE)
    predictions = write_predictions(Path(output) / PREDICTIONS_FILE, stream)
    captions = {prediction.image_id: prediction.caption for prediction in predictions}
    references = dict(zip(dev_data.image_ids, dev_data.captions, strict=True))
    [scores] = measure_captions(references, [captions], java=_has_java())
    found = reliability(predictions, references, None)
    draw_reliability(
        found,
        score_meaning(predictions, scores.cider),
        Path(output) / RELIABILITY_FILE,
        config.name,
    )
    facts = {
        "vocabulary": len(captioner.tokenizer.words),
        "decoder_parameters": captioner.decoder.count_params(),
        "train_photos": len(train_data),
        "train_captions": sum(len(texts) for texts in train_data.captions),
        "dev_photos": len(dev_data),
    }
    examples = best_and_worst(predictions, scores.cider)
    card = write_model_card(captioner.info, config, scores.metrics, facts, examples, found)
    annotate_bundle(
        bundle,
        metrics=scores.metrics,
        decode=captioner.info.decode,
        model_card=card,
        score_temperature=found["best_temperature"],
    )
    return scores.metrics


def _has_java() -> bool:
    try:
        find_java()
    except JavaMissingError:
        _logger.warning(
            "no working Java: METEOR is left out, and a plain tokenizer takes the PTB tokenizer's "
            "place, so that the other metrics differ a little from published ones"
        )
        return False
    return True
