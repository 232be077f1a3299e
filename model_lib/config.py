"""The captioner's settings as frozen dataclasses, validated when made, to and from JSON.

Takes keyword arguments or a JSON-like mapping; gives immutable values that hash and
compare by content. A wrong or misspelt setting is a `ConfigError` that names it.
"""

import dataclasses
import json
import numbers
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

from model_lib.errors import ConfigError

# Of the encoder's arithmetic.
Precision = Literal["float32", "bfloat16", "float16"]
# What runs the encoder.
EncoderRuntime = Literal["tensorflow", "onnxruntime"]
# Images in one run of the model; smaller ones give the decoder too few rows for fast products.
DEFAULT_BATCH_SIZE = 128
# Of captions: how words are made of them.
Standardization = Literal["words", "course"]
ConfigT = TypeVar("ConfigT", bound="JsonConfig")
_TYPES: dict[type, tuple[type, str]] = {
    bool: (bool, "true or false"),
    float: (numbers.Real, "a number"),
    int: (numbers.Integral, "a whole number"),
    str: (str, "text"),
}


class JsonConfig:
    """Base of the settings below: strict reading, canonical writing."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as a mapping of plain JSON values."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Returns canonical JSON: sorted keys, no spaces, equal for equal settings."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_dict(cls: type[ConfigT], values: Mapping[str, Any]) -> ConfigT:
        """Makes the settings from a mapping; missing ones take their defaults.

        Raises:
            ConfigError: for a name that is not a setting, or a value out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise ConfigError(
                    f"{cls.__name__} has no setting {name!r}; it has {', '.join(known)}"
                )
        return cls(**values)

    def replace(self: ConfigT, **changes: Any) -> ConfigT:
        """Returns a copy with some settings changed, validated again."""
        return type(self).from_dict({**self.to_dict(), **changes})

    def _check_types(self) -> None:
        """Checks kinds and choices; makes numbers plain, so that equal settings write alike."""
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            kind, value = hints[field.name], getattr(self, field.name)
            if typing.get_origin(kind) is Literal:
                self._check_choice(field.name)
                continue
            accepted, noun = _TYPES[kind]
            if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
                raise ConfigError(
                    f"{type(self).__name__}.{field.name} is {value!r}; expected {noun}"
                )
            object.__setattr__(self, field.name, kind(value))

    def _check_choice(self, name: str) -> None:
        choices = typing.get_args(typing.get_type_hints(type(self))[name])
        value = getattr(self, name)
        if value not in choices:
            expected = ", ".join(repr(choice) for choice in choices)
            raise ConfigError(f"{type(self).__name__}.{name} is {value!r}; expected {expected}")

    def _check_range(
        self, name: str, low: float, high: float = float("inf"), *, above: bool = False
    ) -> None:
        value = getattr(self, name)
        in_range = (low < value if above else low <= value) and value <= high
        if not in_range:
            bound = f"above {low}" if above else f"at least {low}"
            top = "" if high == float("inf") else f" and at most {high}"
            raise ConfigError(f"{type(self).__name__}.{name} is {value!r}; expected {bound}{top}")


@dataclasses.dataclass(frozen=True)
class PreprocessConfig(JsonConfig):
    """How encoded bytes become the encoder's input.

    Attributes:
        image_size: side of the square model input in pixels.
        fit: how the frame becomes square: `squash` changes the aspect, `crop` cuts the
            longer side's ends off, `pad` adds black bars.
        max_pixels: width x height above which an image is refused before decoding.
    """

    image_size: int = 299
    fit: Literal["squash", "crop", "pad"] = "squash"
    max_pixels: int = 100_000_000

    def __post_init__(self) -> None:
        """Validates."""
        self._check_types()
        self._check_range("image_size", 8, 4096)
        self._check_range("max_pixels", 1)


@dataclasses.dataclass(frozen=True)
class ModelConfig(JsonConfig):
    """The network. The defaults are those of Google's course.

    Attributes:
        encoder: name of a `keras.applications` backbone, or of the `.keras` file it came from.
        pixel_scaling: `backbone` scales 0..255 as the backbone was trained; `unit` to 0..1, as
            the course's notebook does; `file` leaves it to the `.keras` file.
        width: size of embedding, GRU state and attention.
        attention: `dot` is `keras.layers.Attention`, `multihead` `keras.layers.MultiHeadAttention`.
        num_heads: heads of the multi-head attention; unused by `dot`.
        initial_state: GRU start: `zeros` (the course) or `image`, a projection of the mean feature.
        dropout: share of units dropped in training on features, embeddings and before the
            last layer.
        tie_embeddings: whether the last layer reuses the embedding matrix, transposed.
        max_length_tokens: length captions are padded to in training, `<start>`/`<end>` included.
        standardize: how captions became words: `words`, or `course` as the notebook does; see
            `model_lib.standardization`.
    """

    encoder: str = "InceptionResNetV2"
    pixel_scaling: Literal["backbone", "unit", "file"] = "backbone"
    width: int = 512
    attention: Literal["dot", "multihead"] = "dot"
    num_heads: int = 8
    initial_state: Literal["zeros", "image"] = "zeros"
    dropout: float = 0.0
    tie_embeddings: bool = False
    max_length_tokens: int = 64
    standardize: Standardization = "words"

    def __post_init__(self) -> None:
        """Validates."""
        self._check_types()
        self._check_range("width", 1)
        self._check_range("num_heads", 1)
        self._check_range("dropout", 0.0, 0.95)
        self._check_range("max_length_tokens", 3)
        if self.attention == "multihead" and self.width % self.num_heads:
            raise ConfigError(
                f"ModelConfig.width {self.width} is not a multiple of num_heads {self.num_heads}"
            )

    def to_dict(self) -> dict[str, Any]:
        """As `JsonConfig.to_dict`; without `standardize` where it is `words`.

        Bundles written before that setting was there keep their text and fingerprint.
        """
        values = super().to_dict()
        if self.standardize == "words":
            del values["standardize"]
        return values


# Decode settings that only some methods use; the others always have an effect.
_METHODS_OF = {
    "beam_width": ("beam",),
    "length_penalty": ("beam",),
    "num_captions": ("beam", "sample"),
    "temperature": ("sample",),
    "top_k": ("sample",),
    "top_p": ("sample",),
    "seed": ("sample",),
}


@dataclasses.dataclass(frozen=True)
class DecodeConfig(JsonConfig):
    """How captions are drawn from the model.

    Attributes:
        method: `greedy`, `beam` or `sample`.
        beam_width: hypotheses kept at each step (`beam` only).
        length_penalty: hypotheses are ranked by log-probability / length ** length_penalty
            (`beam` only); 0 ranks by log-probability, 1 by its mean over tokens.
        num_captions: captions an image; 1 for `greedy`, at most `beam_width` for `beam`.
        temperature: logits are divided by it before sampling (`sample` only).
        top_k: sample among the k likeliest words; 0 means all (`sample` only). The course: 10.
        top_p: sample among the likeliest words that hold this probability (`sample` only).
        seed: of the sampling; an image's captions depend on it and on the image's bytes only.
        min_length_tokens: fewest words before `<end>` may be drawn.
        max_length_tokens: most tokens drawn, `<end>` included.
        no_repeat_ngram_size: no phrase of so many words comes twice in a caption; 0 means any may.
    """

    method: Literal["greedy", "beam", "sample"] = "beam"
    beam_width: int = 3
    length_penalty: float = 1.0
    num_captions: int = 1
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    min_length_tokens: int = 1
    max_length_tokens: int = 30
    no_repeat_ngram_size: int = 0

    def __post_init__(self) -> None:
        """Validates."""
        self._check_types()
        self._check_range("beam_width", 1)
        self._check_range("length_penalty", 0.0, 5.0)
        self._check_range("num_captions", 1)
        self._check_range("temperature", 1e-6, 1e6)
        self._check_range("top_k", 0)
        self._check_range("top_p", 0.0, 1.0, above=True)
        self._check_range("seed", 0)
        self._check_range("min_length_tokens", 0)
        self._check_range("max_length_tokens", self.min_length_tokens + 1)
        self._check_range("no_repeat_ngram_size", 0)
        if self.method == "greedy" and self.num_captions > 1:
            raise ConfigError(
                f"greedy decoding has one caption an image, not {self.num_captions}: "
                "choose beam or sample"
            )
        if self.method == "beam" and self.num_captions > self.beam_width:
            raise ConfigError(
                f"num_captions {self.num_captions} is more than beam_width {self.beam_width}: "
                "widen the beam or ask for fewer"
            )

    def to_dict(self) -> dict[str, Any]:
        """As `JsonConfig.to_dict`; without `no_repeat_ngram_size` where it is 0.

        Bundles written before that setting was there keep their text.
        """
        values = super().to_dict()
        if not self.no_repeat_ngram_size:
            del values["no_repeat_ngram_size"]
        return values

    def with_changes(self, **changes: Any) -> "DecodeConfig":
        """Returns the settings with others put in; refuses one that would have no effect.

        Changing the method of a beam of five captions to `greedy` makes it one caption.

        Raises:
            ConfigError: for an unknown name, a value out of range, or a setting that the
                method does not use.
        """
        method = changes.get("method", self.method)
        for name in changes:
            methods = _METHODS_OF.get(name, (method,))
            if method not in methods:
                users = " and ".join(methods)
                raise ConfigError(f"{name} has no effect with {method} decoding, only with {users}")
        base = self if method == self.method else self.replace(num_captions=1)
        return base.replace(**changes)
