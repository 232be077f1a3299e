"""The model card of a bundle: what it was trained on, how, how good it is, and its limits.

Takes numbers and a few captions; returns Markdown. It holds no photo and no human caption, so
that it may go where the data set may not.
"""

from collections.abc import Mapping
from typing import Any

import jinja2

from model_lib.bundle_info import BundleInfo
from train.config import TrainConfig
from train.predictions import Prediction

EXAMPLES = 5
_TEMPLATE = """\
# {{ info.name }}

An image captioner: {{ "fine-tuned" if config.fine_tune_from else "frozen" }} encoder \
`{{ info.model.encoder }}` at {{ info.preprocess.image_size }}x\
{{ info.preprocess.image_size }} pixels, GRU decoder of width {{ info.model.width }} with \
{{ info.model.attention }} attention, {{ facts.vocabulary }} words, \
{{ "{:,}".format(facts.decoder_parameters) }} decoder parameters.

## Data and licence

{{ provenance.data_note }}
{% if provenance.encoder_note %}
{{ provenance.encoder_note }}
{% endif %}
- Photos to learn from: {{ facts.train_photos }} with {{ facts.train_captions }} captions
- Photos to choose the epoch on and to measure: {{ facts.dev_photos }}

## Training

    {{ provenance.command }}

Seed {{ config.seed }}; {{ info.provenance.train_seconds }} seconds of training on \
{{ provenance.hardware }}, features of the encoder computed before; \
{% if config.fine_tune_from %}the encoder's layers behind `{{ config.fine_tune_from }}` were \
trained with the decoder in phase 2 ({{ config.fine_tune_epochs }} epochs){% if \
config.self_critical_epochs %} and in the self-critical phase{% endif %}; {% endif %}\
{{ provenance.date }}; {{ provenance.versions }}. All settings stand in `bundle.json` under \
`provenance`.

## Results on the {{ facts.dev_photos }} dev photos

Decoding: `{{ info.decode.to_json() }}`. Scored by pycocoevalcap on the words of
{{ "the PTB tokenizer" if "METEOR" in metrics else "a plain tokenizer (there was no Java)" }}. \
The epoch was chosen on the same photos, so another
set of photos will score a little lower.

| metric | value |
|---|---|
{% for name, value in metrics.items() -%}
| {{ name }} | {{ "%.4f" | format(value) }} |
{% endfor %}
## Captions, good and bad

The best and worst on dev by CIDEr against the photo's human captions.

| photo | caption | CIDEr |
|---|---|---|
{% for photo, caption, cider in examples -%}
| {{ photo }} | {{ caption }} | {{ "%.2f" | format(cider) }} |
{% endfor %}
## Limits

- It knows the {{ facts.vocabulary }} words and the kinds of scenes of its training photos; of
  anything else it says the nearest it knows, without a sign of doubt but a lower score.
- It guesses sex, age and relations of people from looks, as the training captions do.
- It reads no text, counts badly, and names no one.
- Scores rank captions of one model. `exp(score / {{ "%.2f" | format(calibration.best_temperature) \
}})`, the column `confidence`, is the
  share of a caption's words to expect in a human caption: fitted on the dev photos, where it is
  off by {{ "%.3f" | format(calibration.error) }} on average over tenths. On photos of other kinds \
it promises too much.
"""


def write_model_card(
    info: BundleInfo,
    config: TrainConfig,
    metrics: Mapping[str, float],
    facts: Mapping[str, int],
    examples: list[tuple[Prediction, float]],
    calibration: Mapping[str, Any],
) -> str:
    """Fills the card in.

    Args:
        info: of the bundle; its provenance has `command`, `data_note`, `encoder_note`,
            `hardware`, `date`, `versions` and `train_seconds`.
        config: settings of the training.
        metrics: value by name.
        facts: `vocabulary`, `decoder_parameters`, `train_photos`, `train_captions`, `dev_photos`.
        examples: predictions with their CIDEr.
        calibration: of `train.calibration.reliability`.

    Returns:
        Markdown.
    """
    rows = [(item.image_id.replace("|", r"\|"), item.caption, cider) for item, cider in examples]
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=False)
    return (
        environment.from_string(_TEMPLATE)
        .render(
            info=info,
            config=config,
            metrics=metrics,
            facts=facts,
            examples=rows,
            calibration=calibration,
            provenance=info.provenance,
        )
        .rstrip()
        + "\n"
    )


def best_and_worst(
    predictions: list[Prediction], cider: Mapping[str, float]
) -> list[tuple[Prediction, float]]:
    """Returns the five predictions of highest and the five of lowest CIDEr."""
    ranked = sorted(predictions, key=lambda p: (-cider[p.image_id], p.image_id))
    chosen = ranked[:EXAMPLES] + ranked[EXAMPLES:][-EXAMPLES:]
    return [(prediction, cider[prediction.image_id]) for prediction in chosen]
