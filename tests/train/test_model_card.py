"""The model card, whole."""

import dataclasses

import jinja2
import pytest

from model_lib.bundle_info import HASHED_FILES, BundleInfo
from model_lib.config import DecodeConfig, ModelConfig, PreprocessConfig
from train.config import TrainConfig
from train.model_card import best_and_worst, write_model_card
from train.predictions import Prediction

INFO = BundleInfo(
    name="shapes",
    model=ModelConfig(encoder="toy.keras", pixel_scaling="file", width=16, attention="dot"),
    preprocess=PreprocessConfig(image_size=32),
    decode=DecodeConfig(beam_width=2),
    file_sha256=dict.fromkeys(HASHED_FILES, "0" * 64),
    provenance={
        "command": "train-captioner --data shapes",
        "data_note": "Shapes, CC0.",
        "encoder_note": "Encoder: random.",
        "hardware": "2 CPU cores (x86_64)",
        "date": "2026-01-02",
        "versions": "Python 3.11.7, tensorflow 2.21.0, keras 3.15.1",
        "train_seconds": 12,
    },
    metrics={},
)
FACTS = {
    "vocabulary": 21,
    "decoder_parameters": 1234567,
    "train_photos": 20,
    "train_captions": 40,
    "dev_photos": 4,
}
CALIBRATION = {"best_temperature": 2.0, "error": 0.0123}
CARD = """\
# shapes

An image captioner: frozen encoder `toy.keras` at 32x32 pixels, GRU decoder of width 16 with \
dot attention, 21 words, 1,234,567 decoder parameters.

## Data and licence

Shapes, CC0.

Encoder: random.

- Photos to learn from: 20 with 40 captions
- Photos to choose the epoch on and to measure: 4

## Training

    train-captioner --data shapes

Seed 7; 12 seconds of training on 2 CPU cores (x86_64), features of the encoder computed before; \
2026-01-02; Python 3.11.7, tensorflow 2.21.0, keras 3.15.1. All settings stand in `bundle.json` \
under `provenance`.

## Results on the 4 dev photos

Decoding: `{"beam_width":2,"length_penalty":1.0,"max_length_tokens":30,"method":"beam",\
"min_length_tokens":1,"num_captions":1,"seed":0,"temperature":1.0,"top_k":0,"top_p":1.0}`. \
Scored by pycocoevalcap on the words of
a plain tokenizer (there was no Java). The epoch was chosen on the same photos, so another
set of photos will score a little lower.

| metric | value |
|---|---|
| BLEU-4 | 0.2051 |
| CIDEr | 0.5200 |

## Captions, good and bad

The best and worst on dev by CIDEr against the photo's human captions.

| photo | caption | CIDEr |
|---|---|---|
| a\\|b.png | a red circle | 3.21 |
| c.png | a dog | 0.00 |

## Limits

- It knows the 21 words and the kinds of scenes of its training photos; of
  anything else it says the nearest it knows, without a sign of doubt but a lower score.
- It guesses sex, age and relations of people from looks, as the training captions do.
- It reads no text, counts badly, and names no one.
- Scores rank captions of one model. `exp(score / 2.00)`, the column `confidence`, is the
  share of a caption's words to expect in a human caption: fitted on the dev photos, where it is
  off by 0.012 on average over tenths. On photos of other kinds it promises too much.
"""


def predicted(image_id, caption="a dog"):
    return Prediction(image_id, caption, -0.5, ())


METRICS = {"BLEU-4": 0.20512, "CIDEr": 0.52}


def write(info=INFO, metrics=METRICS):
    examples = [(predicted("a|b.png", "a red circle"), 3.2111), (predicted("c.png"), 0.0)]
    return write_model_card(info, TrainConfig(seed=7), metrics, FACTS, examples, CALIBRATION)


def test_the_card_is_whole():
    assert write() == CARD


def test_with_meteor_the_tokenizer_was_the_usual_one():
    card = write(metrics={**METRICS, "METEOR": 0.2})
    assert "on the words of\nthe PTB tokenizer. The epoch" in card
    assert card.count("| METEOR | 0.2000 |\n") == 1


def test_an_encoder_without_a_note_leaves_no_gap():
    provenance = {**INFO.provenance, "encoder_note": ""}
    expected = CARD.replace("Encoder: random.\n\n", "")
    assert write(dataclasses.replace(INFO, provenance=provenance)) == expected


def test_a_missing_fact_is_an_error_not_an_empty_place():
    provenance = {k: v for k, v in INFO.provenance.items() if k != "hardware"}
    with pytest.raises(jinja2.UndefinedError, match="hardware"):
        write(dataclasses.replace(INFO, provenance=provenance))


def test_five_of_the_best_and_five_of_the_worst_are_shown():
    cider = {f"{n:02}.png": float(n) for n in range(20)}
    chosen = best_and_worst([predicted(name) for name in cider], cider)
    assert [score for _, score in chosen] == [19, 18, 17, 16, 15, 4, 3, 2, 1, 0]
    assert [item.image_id for item, _ in chosen][:2] == ["19.png", "18.png"]


def test_few_photos_are_shown_once_and_equal_ones_by_name():
    cider = {"b": 1.0, "a": 1.0, "c": 2.0}
    chosen = best_and_worst([predicted(name) for name in cider], cider)
    assert [item.image_id for item, _ in chosen] == ["c", "a", "b"]
    cider = {f"{n}": float(n) for n in range(7)}
    chosen = best_and_worst([predicted(name) for name in cider], cider)
    assert [score for _, score in chosen] == [6, 5, 4, 3, 2, 1, 0]


def test_a_fine_tuned_encoder_is_called_so():
    config = TrainConfig(encoder="toy.keras", fine_tune_from="pixels", fine_tune_epochs=3)
    card = write_model_card(INFO, config, {"CIDEr": 0.5}, FACTS, [], CALIBRATION)
    assert "An image captioner: fine-tuned encoder `toy.keras` at 32x32 pixels" in card
    assert (
        "features of the encoder computed before; the encoder's layers behind `pixels` were "
        "trained with the decoder in phase 2 (3 epochs); 2026-01-02;" in card
    )
