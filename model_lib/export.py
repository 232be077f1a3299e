"""A bundle as a TensorFlow SavedModel, checked before it gets its name.

Takes a bundle; writes a local folder that `tf.saved_model.load`, TensorFlow Serving and Vertex AI
load without this package. Beside the graph lie `assets.extra/export.json`, which says what was
exported, and the bundle's model card.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from model_lib.bundle import load_bundle, read_model_card
from model_lib.bundle_info import MODEL_CARD_FILE, BundleInfo
from model_lib.captioner import Captioner
from model_lib.config import DecodeConfig
from model_lib.errors import ExportError
from model_lib.export_folder import check_folder, unfinished
from model_lib.serving_graph import serving_module

BYTES_SIGNATURE = "serving_default"
PIXELS_SIGNATURE = "pixels"
# Where TensorFlow Serving looks for nothing but its own files.
EXTRA_FOLDER = "assets.extra"
EXPORT_FILE = "export.json"
_CHECKED_PICTURES = 8
_SCORE_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: of the SavedModel.
        info: of the bundle.
        decode: how the SavedModel draws captions.
        size_bytes: of all files.
        checked_pictures: drawn pictures whose captions were compared with the captioner's.
    """

    folder: Path
    info: BundleInfo
    decode: DecodeConfig
    size_bytes: int
    checked_pictures: int


def export_savedmodel(bundle: str, folder: str, decode: DecodeConfig | None = None) -> Exported:
    """Writes a SavedModel, loads it again and compares its captions with the captioner's.

    Args:
        bundle: folder of the bundle, local or with a scheme.
        folder: local folder to make, missing or empty; it gets its name when it is whole.
        decode: how captions are drawn; by default as the bundle says.

    Returns:
        What was written.

    Raises:
        BundleError: as `load_bundle`.
        ExportError: for a folder that is not free, or captions that differ.
    """
    target = check_folder(folder)
    captioner = load_bundle(bundle)
    decode = decode or captioner.info.decode
    with unfinished(target) as part:
        module = serving_module(captioner, decode)
        signatures = {
            BYTES_SIGNATURE: module.caption_bytes,
            PIXELS_SIGNATURE: module.caption_pixels,
        }
        tf.saved_model.save(module, str(part), signatures=signatures)
        _describe(part, captioner.info, decode, read_model_card(bundle))
        check_export(str(part), captioner, decode)
        size = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
    return Exported(target, captioner.info, decode, size, _CHECKED_PICTURES)


def check_export(folder: str, captioner: Captioner, decode: DecodeConfig) -> None:
    """Compares a SavedModel's captions of drawn pictures with the captioner's.

    Sampled captions, for which the SavedModel draws random numbers of its own, are compared
    between its two signatures only. An empty file must be called unreadable.

    Args:
        folder: of the SavedModel.
        captioner: that it was made of.
        decode: how it draws captions.

    Raises:
        ExportError: naming the first caption that differs.
    """
    signatures = tf.saved_model.load(folder).signatures
    pixels = _pictures(captioner.info.preprocess.image_size)
    files = [tf.io.encode_png(picture).numpy() for picture in pixels]
    outputs = signatures[BYTES_SIGNATURE](image_bytes=tf.constant([*files, b""]))
    _compare("readable", outputs["readable"].numpy(), [True] * len(files) + [False])
    of_bytes = _captions(outputs)[:-1]
    of_pixels = _captions(signatures[PIXELS_SIGNATURE](pixels=tf.constant(pixels)))
    expected = of_pixels
    if decode.method != "sample":
        found = captioner.caption_bytes(files, decode)
        expected = [[(caption.text, caption.score) for caption in row] for row in found]
    for name, captions in ((BYTES_SIGNATURE, of_bytes), (PIXELS_SIGNATURE, of_pixels)):
        for row, others in zip(captions, expected, strict=True):
            _compare(name, [text for text, _ in row], [text for text, _ in others])
            scores, right = ([score for _, score in part] for part in (row, others))
            if not np.allclose(scores, right, atol=_SCORE_TOLERANCE):
                _compare(name, scores, right)


def _compare(what: str, actual: Any, expected: Any) -> None:
    if list(actual) != list(expected):
        raise ExportError(
            f"the exported graph's {what} gives {actual!r} where the captioner gives "
            f"{expected!r}; nothing was exported. Please report this with the bundle"
        )


def _captions(outputs: dict[str, Any]) -> list[list[tuple[str, float]]]:
    """Returns each image's captions and scores; places without a caption are left out."""
    texts, scores = outputs["candidates"].numpy(), outputs["candidate_scores"].numpy()
    return [
        [
            (text.decode(), float(score))
            for text, score in zip(*row, strict=True)
            if score > np.finfo(np.float32).min
        ]
        for row in zip(texts, scores, strict=True)
    ]


def _pictures(side: int) -> np.ndarray[Any, Any]:
    """Draws pictures of coloured areas: uint8 [8,S,S,3], the same at every call."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (_CHECKED_PICTURES, 4, 4, 3)).astype(np.float32)
    fine = tf.image.resize(coarse, [side, side], method="bicubic")
    pictures: np.ndarray[Any, Any] = np.clip(fine.numpy(), 0, 255).astype(np.uint8)
    return pictures


def _describe(folder: Path, info: BundleInfo, decode: DecodeConfig, model_card: str) -> None:
    content = {
        "model_name": info.name,
        "model_fingerprint": info.fingerprint,
        "decode": decode.to_dict(),
        "preprocess": info.preprocess.to_dict(),
        "tensorflow": tf.__version__,
    }
    extra = folder / EXTRA_FOLDER
    extra.mkdir()
    (extra / EXPORT_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (extra / MODEL_CARD_FILE).write_text(model_card, encoding="utf-8")
