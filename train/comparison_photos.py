"""The photos of a comparison's page: which ones, their previews, and what each model says.

Takes an evaluation's data and scores; returns photos, those first where the models' captions
differ most in CIDEr, or, of a single model, those with the lowest.
"""

import base64
import dataclasses
import io
import logging
from collections.abc import Sequence

from PIL import Image

from model_lib.errors import ImageError
from model_lib.image_decoding import decode_frame
from train.evaluation_data import EvaluationData
from train.metrics import CaptionScores

_SIDE = 360
_JPEG_QUALITY = 80
_MAX_PIXELS = 50_000_000
_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ModelCaption:
    """What one model says of a photo.

    Attributes:
        label: of the model.
        caption: its caption.
        cider: the caption's CIDEr, 0..10.
        best: whether no other model's is higher, and another one's is lower.
    """

    label: str
    caption: str
    cider: float
    best: bool


@dataclasses.dataclass(frozen=True)
class ComparedPhoto:
    """A photo with all that is said of it.

    Attributes:
        image_id: its name.
        preview: `data:image/jpeg;base64,...`; empty where the photo could not be read.
        width: of the preview in pixels.
        height: of the preview in pixels.
        references: human captions.
        captions: of the models, in their order.
        spread: highest less lowest CIDEr of them.
    """

    image_id: str
    preview: str
    width: int
    height: int
    references: tuple[str, ...]
    captions: tuple[ModelCaption, ...]
    spread: float


def choose_photos(
    data: EvaluationData, scores: Sequence[CaptionScores], count: int
) -> list[ComparedPhoto]:
    """Returns the photos to show, with previews of those that can be read.

    Args:
        data: images, references and captions.
        scores: of each candidate of `data`.
        count: how many photos at most.
    """
    names = list(data.references)

    def rank(name: str) -> float:
        values = [one.cider[name] for one in scores]
        return min(values) - max(values) if len(values) > 1 else values[0]

    chosen = sorted(names, key=rank)[:count]
    encoded = data.read_photos(chosen)
    return [_compared(name, data, scores, encoded.get(name, b"")) for name in chosen]


def _compared(
    name: str, data: EvaluationData, scores: Sequence[CaptionScores], encoded: bytes
) -> ComparedPhoto:
    values = [one.cider[name] for one in scores]
    differ = max(values) > min(values)
    captions = tuple(
        ModelCaption(one.label, one.captions[name], value, differ and value == max(values))
        for one, value in zip(data.candidates, values, strict=True)
    )
    spread = max(values) - min(values)
    references = tuple(data.references[name])
    return ComparedPhoto(name, *_preview(name, encoded), references, captions, spread)


def _preview(name: str, encoded: bytes) -> tuple[str, int, int]:
    """Returns the whole frame as a small JPEG, its width and height."""
    if not encoded:
        return "", 0, 0
    try:
        image = decode_frame(encoded, _MAX_PIXELS).image
    except ImageError as error:  # captions from a file were made of other bytes, perhaps
        _logger.warning("%s has no preview: %s", name, error)
        return "", 0, 0
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    text = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{text}", image.width, image.height
