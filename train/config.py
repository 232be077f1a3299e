"""The settings of a training as one frozen dataclass.

Takes keyword arguments; one field for one flag of `train-captioner`. Named sets of settings are in
`train.presets`.
"""

import dataclasses
import os
from typing import Literal

from model_lib.config import DecodeConfig, JsonConfig, ModelConfig, Standardization
from model_lib.errors import ConfigError

DRAWN_TOKENS = 24
"""Most tokens of a drawn caption: in self-critical training, and by default in the bundle."""


@dataclasses.dataclass(frozen=True)
class TrainConfig(JsonConfig):
    """What is trained, on what, and how. The network's defaults are those of Google's course.

    Attributes:
        name: of the model, written into every caption row.
        encoder: `.keras` file, or name of a `keras.applications` backbone.
        encoder_weights: for a backbone by name: `imagenet`, a weights file, or `none` (random).
        image_size: side of the input of a backbone by name; 0 means 299. A `.keras` file has one.
        fit: how photos become square: `squash`, `crop` or `pad`.
        pixel_scaling: for a backbone by name: `backbone` as it was trained, `unit` to 0..1 as
            the course's notebook does.
        max_vocabulary: most words, special ones included.
        min_count: rarer words become unknown.
        standardize: how captions become words: `words`, or `course` as the course's notebook does.
        captions_per_image: captions used of each photo; 1 is the first only.
        max_length_tokens: longer captions are cut, `<start>`/`<end>` included.
        width: size of embedding, GRU and attention.
        attention: `dot` or `multihead`.
        num_heads: of `multihead`.
        initial_state: GRU start: `zeros` or `image`.
        dropout: share of units dropped.
        word_dropout: share of the words so far replaced by the unknown word in training.
        tie_embeddings: whether the last layer reuses the embedding matrix.
        views: cached views a photo: 1 alone, 2 with its mirror image, more with random crops.
        epochs: of cross-entropy, at most.
        patience: epochs without a better validation loss before training stops.
        batch_size: photos a step, each with all its captions.
        learning_rate: highest, after warm-up; then cosine decay.
        decay_to: share of the learning rate at the end of the decay, 0..1; 1 means no decay.
        warmup_steps: of linear warm-up.
        clip_norm: largest global norm of the gradient; 0 means no clipping.
        weight_decay: decoupled weight decay.
        label_smoothing: 0..1.
        padding_loss: whether padding up to max_length_tokens counts in the training's loss, as it
            does in the course's notebook.
        ema_momentum: of the weights' moving average, which is evaluated and kept; 0 means none.
        fine_tune_from: layer of the encoder behind which it is trained, together with the decoder,
            after `epochs`, such as `block10_add`; empty means a frozen encoder.
        fine_tune_epochs: of that, at most.
        fine_tune_learning_rate: highest, as `learning_rate`.
        self_critical_epochs: of training on CIDEr-D after cross-entropy.
        self_critical_learning_rate: constant.
        self_critical_ema_momentum: as `ema_momentum`, for that phase.
        self_critical_samples: captions sampled a photo.
        self_critical_temperature: of the sampling; below 1 keeps unlikely words out.
        self_critical_f_mean_weight: of METEOR's F-mean of words beside CIDEr-D in the reward.
        self_critical_feature_dropout: share of the features' channels that a photo loses in a
            step, for drawing and loss alike; keeps the model from learning photos by heart.
        seed: of weights, order, views, dropout and sampling.
        decode: method of the bundle's default decoding: `greedy`, `beam` or `sample`.
        beam_width: of that decoding.
        length_penalty: of that decoding.
        num_captions: captions a photo of that decoding.
        top_k: of that decoding, for `sample`; 0 means all words.
        no_repeat_ngram_size: of that decoding.
        drawn_tokens: most tokens of its captions, `<end>` included; self-critical training always
            draws 24.
    """

    name: str = "captioner"
    encoder: str = "InceptionResNetV2"
    encoder_weights: str = "imagenet"
    image_size: int = 0
    fit: Literal["squash", "crop", "pad"] = "squash"
    pixel_scaling: Literal["backbone", "unit"] = "backbone"
    max_vocabulary: int = 20_000
    min_count: int = 1
    standardize: Standardization = "words"
    captions_per_image: int = 5
    max_length_tokens: int = 64
    width: int = 512
    attention: Literal["dot", "multihead"] = "dot"
    num_heads: int = 8
    initial_state: Literal["zeros", "image"] = "zeros"
    dropout: float = 0.0
    word_dropout: float = 0.0
    tie_embeddings: bool = False
    views: int = 1
    epochs: int = 10
    patience: int = 3
    batch_size: int = 32
    learning_rate: float = 1e-3
    decay_to: float = 0.02
    warmup_steps: int = 300
    clip_norm: float = 5.0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    padding_loss: bool = False
    ema_momentum: float = 0.0
    fine_tune_from: str = ""
    fine_tune_epochs: int = 4
    fine_tune_learning_rate: float = 2e-4
    self_critical_epochs: int = 0
    self_critical_learning_rate: float = 3e-5
    self_critical_ema_momentum: float = 0.0
    self_critical_samples: int = 5
    self_critical_temperature: float = 0.7
    self_critical_f_mean_weight: float = 0.0
    self_critical_feature_dropout: float = 0.0
    seed: int = 1
    decode: Literal["greedy", "beam", "sample"] = "beam"
    beam_width: int = 3
    length_penalty: float = 1.0
    num_captions: int = 1
    top_k: int = 0
    no_repeat_ngram_size: int = 0
    drawn_tokens: int = DRAWN_TOKENS

    def __post_init__(self) -> None:
        """Validates, also what the settings of model and decoding validate."""
        for name in ("fit", "pixel_scaling"):
            self._check_choice(name)
        for name in ("views", "epochs", "patience", "batch_size", "min_count"):
            self._check_range(name, 1)
        for name in ("clip_norm", "weight_decay", "image_size", "warmup_steps"):
            self._check_range(name, 0)
        self._check_range("seed", 0, 2**32 - 1)
        self._check_range("captions_per_image", 1)
        self._check_range("max_vocabulary", 5)
        self._check_range("learning_rate", 0.0, above=True)
        self._check_range("decay_to", 0.0, 1.0)
        self._check_range("label_smoothing", 0.0, 0.99)
        self._check_range("word_dropout", 0.0, 0.9)
        self._check_range("ema_momentum", 0.0, 0.99999)
        self._check_range("fine_tune_epochs", 1)
        self._check_range("fine_tune_learning_rate", 0.0, above=True)
        self._check_range("self_critical_epochs", 0)
        self._check_range("self_critical_learning_rate", 0.0, above=True)
        self._check_range("self_critical_ema_momentum", 0.0, 0.99999)
        self._check_range("self_critical_samples", 2)
        self._check_range("self_critical_temperature", 0.05, 10.0)
        self._check_range("self_critical_f_mean_weight", 0.0)
        self._check_range("self_critical_feature_dropout", 0.0, 0.9)
        self.model_config()
        self.decode_config()
        if self.has_encoder_file:
            self._refuse("with an encoder file", "encoder_weights", "image_size", "pixel_scaling")
        if self.decode != "beam":
            self._refuse(f"with {self.decode} decoding", "beam_width", "length_penalty")
        if self.decode != "sample":
            self._refuse(f"with {self.decode} decoding", "top_k")

    def _refuse(self, why: str, *names: str) -> None:
        """Refuses settings that have no effect, unless they are as they are by default."""
        for name in names:
            if getattr(self, name) != getattr(TrainConfig, name):
                raise ConfigError(f"--{name} has no effect {why}; leave it out")

    @property
    def has_encoder_file(self) -> bool:
        """Whether the encoder is a `.keras` file, not a backbone by name."""
        return self.encoder.endswith(".keras")

    def model_config(self) -> ModelConfig:
        """Returns the settings of the network."""
        return ModelConfig(
            encoder=os.path.basename(self.encoder),
            pixel_scaling="file" if self.has_encoder_file else self.pixel_scaling,
            width=self.width,
            attention=self.attention,
            num_heads=self.num_heads,
            initial_state=self.initial_state,
            dropout=self.dropout,
            tie_embeddings=self.tie_embeddings,
            max_length_tokens=self.max_length_tokens,
            standardize=self.standardize,
        )

    def decode_config(self) -> DecodeConfig:
        """Returns the bundle's default decoding."""
        return DecodeConfig(
            method=self.decode,
            beam_width=self.beam_width,
            length_penalty=self.length_penalty,
            num_captions=self.num_captions,
            top_k=self.top_k,
            max_length_tokens=self.drawn_tokens,
            no_repeat_ngram_size=self.no_repeat_ngram_size,
        )
