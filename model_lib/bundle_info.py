"""`bundle.json`: what a bundle holds, written and read strictly.

Takes and returns a `BundleInfo`. The file carries its own checksum and is only accepted in the
exact form in which it was written, so that any changed byte is noticed.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from model_lib.config import DecodeConfig, ModelConfig, PreprocessConfig
from model_lib.errors import BundleError, ConfigError

FORMAT_VERSION = 1
INFO_FILE = "bundle.json"
ENCODER_FILE = "encoder.keras"
DECODER_FILE = "decoder.weights.h5"
VOCABULARY_FILE = "vocabulary.txt"
MODEL_CARD_FILE = "MODEL_CARD.md"
HASHED_FILES = (DECODER_FILE, ENCODER_FILE, MODEL_CARD_FILE, VOCABULARY_FILE)


@dataclasses.dataclass(frozen=True)
class BundleInfo:
    """What a bundle says of itself.

    Attributes:
        name: short name of the model, such as `flickr8k-small`.
        model: the network's settings.
        preprocess: how bytes become the encoder's input.
        decode: how captions are drawn unless the caller says otherwise.
        file_sha256: hex sha256 of every other file of the bundle.
        provenance: where the weights come from: data, command, seed, versions.
        metrics: results of the evaluation.
        score_temperature: turns scores into confidences (`model_lib.confidence`), above 0; None
            where none was fitted.
        format_version: of the bundle's layout.
    """

    name: str
    model: ModelConfig
    preprocess: PreprocessConfig
    decode: DecodeConfig
    file_sha256: Mapping[str, str]
    provenance: Mapping[str, Any]
    metrics: Mapping[str, Any]
    score_temperature: float | None = None
    format_version: int = FORMAT_VERSION

    @property
    def fingerprint(self) -> str:
        """Hex sha256 over weights, vocabulary, network and preprocessing.

        Equal fingerprints and equal decode settings give equal captions.
        """
        parts = {
            "encoder": self.file_sha256[ENCODER_FILE],
            "decoder": self.file_sha256[DECODER_FILE],
            "vocabulary": self.file_sha256[VOCABULARY_FILE],
            "model": self.model.to_dict(),
            "preprocess": self.preprocess.to_dict(),
        }
        return _sha256_of_json(parts)


def info_to_bytes(info: BundleInfo) -> bytes:
    """Returns the content of `bundle.json`."""
    content = {
        "format_version": info.format_version,
        "name": info.name,
        "fingerprint": info.fingerprint,
        "model": info.model.to_dict(),
        "preprocess": info.preprocess.to_dict(),
        "decode": info.decode.to_dict(),
        "file_sha256": dict(info.file_sha256),
        "provenance": dict(info.provenance),
        "metrics": dict(info.metrics),
    }
    if info.score_temperature is not None:  # older bundles have none, and stay as they are
        content["score_temperature"] = info.score_temperature
    content["sha256"] = _sha256_of_json(content)
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def info_from_bytes(data: bytes, where: str) -> BundleInfo:
    """Reads `bundle.json`.

    Args:
        data: the file's content.
        where: its address, for error messages.

    Returns:
        What the bundle says of itself.

    Raises:
        BundleError: for a damaged file or a format version that is not known here.
    """
    try:
        content = json.loads(data.decode())
        version = content["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(where, repr(error)) from error
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{where}: format version {version!r} is not known, this release reads "
            f"{FORMAT_VERSION}; install the release that wrote the bundle, or save it again"
        )
    try:
        info = BundleInfo(
            name=content["name"],
            model=ModelConfig.from_dict(content["model"]),
            preprocess=PreprocessConfig.from_dict(content["preprocess"]),
            decode=DecodeConfig.from_dict(content["decode"]),
            file_sha256=content["file_sha256"],
            provenance=content["provenance"],
            metrics=content["metrics"],
            score_temperature=content.get("score_temperature"),
        )
        is_intact = info_to_bytes(info) == data
    except (ConfigError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise _damaged(where, repr(error)) from error
    if not is_intact or sorted(info.file_sha256) != sorted(HASHED_FILES):
        raise _damaged(where, "its content does not match its checksum")
    return info


def _damaged(where: str, why: str) -> BundleError:
    return BundleError(f"{where}: damaged or not a bundle ({why}); copy the bundle again")


def _sha256_of_json(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
