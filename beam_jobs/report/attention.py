"""Pictures of what the model looked at, for a few photos of the report.

Takes photos of the captions table, the manifest of the run that captioned them, and a function
that reads their bytes; gives one picture a photo, or the reason why there is none. This loads the
run's bundle, which takes seconds, so a report does it on demand only. Nothing here raises: the
report of a finished run must not fail for a picture.
"""

import base64
import dataclasses
import hashlib
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from beam_jobs import storage
from beam_jobs.explaining.layout import PictureConfig
from beam_jobs.fetching.fetcher import FetchFailedError
from beam_jobs.gpu_memory import allow_memory_growth
from beam_jobs.report.data import CaptionedPhoto
from beam_jobs.report.lookup import find, find_text
from beam_jobs.report.thumbnails import ReadBytes
from model_lib.bundle import default_bundle_path, load_bundle, read_bundle_info
from model_lib.config import DecodeConfig
from model_lib.errors import CaptioningError
from model_lib.quiet_tensorflow import load_tensorflow

if TYPE_CHECKING:
    from model_lib.captioner import Captioner

_PICTURE = PictureConfig(panel_width=180)
_JPEG_QUALITY = 82

_logger = logging.getLogger(__name__)


class OtherModelError(CaptioningError):
    """What the run captioned with is not there any more."""


@dataclasses.dataclass(frozen=True)
class AttentionPicture:
    """A picture of one photo's caption, word by word, or why there is none.

    Attributes:
        photo: which photo.
        data_uri: `data:image/jpeg;base64,...`; empty where there is none.
        width: of the picture in pixels.
        height: of the picture in pixels.
        problem: why there is none; empty where there is one.
    """

    photo: CaptionedPhoto
    data_uri: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""


def attention_pictures(
    photos: Sequence[CaptionedPhoto], manifest: Mapping[str, Any], read_bytes: ReadBytes
) -> list[AttentionPicture]:
    """Draws what the model looked at for each word.

    Args:
        photos: rows of the captions table; where there is none, nothing is loaded.
        manifest: of the run; tells bundle, decode settings and precision.
        read_bytes: gives the bytes of a photo's URI again, or raises.

    Returns:
        One picture for each photo. A photo whose bytes have changed, or that the model captions
        otherwise here, has a reason instead.
    """
    if not photos:
        return []
    try:
        draw = _drawer(manifest)
    # A bundle on storage that is gone, a damaged manifest, no memory: the page goes on without.
    except Exception as error:
        _logger.warning("the report has no attention pictures: %s", error)
        problem = f"the bundle cannot be loaded here ({type(error).__name__})"
        return [AttentionPicture(photo, problem=problem) for photo in photos]
    return [_picture(photo, read_bytes, draw) for photo in photos]


def _drawer(manifest: Mapping[str, Any]) -> Callable[[CaptionedPhoto, bytes], AttentionPicture]:
    """Loads the run's captioner; returns what draws a photo, given its bytes."""
    path = find_text(manifest, "bundle.path") or default_bundle_path()
    fingerprint = find_text(manifest, "bundle.fingerprint")
    if read_bundle_info(path, storage.open_read).fingerprint != fingerprint:
        raise OtherModelError(f"{path}: is not the bundle {fingerprint} that the run used")
    decode = DecodeConfig.from_dict(find(manifest, "decode"))
    load_tensorflow()
    allow_memory_growth()
    precision: Any = find_text(manifest, "settings.precision") or "float32"
    captioner = load_bundle(path, storage.open_read, precision)
    return lambda photo, data: _draw(photo, data, captioner, decode)


def _picture(
    photo: CaptionedPhoto,
    read_bytes: ReadBytes,
    draw: Callable[[CaptionedPhoto, bytes], AttentionPicture],
) -> AttentionPicture:
    # The record boundary: whatever one photo does, the others keep their pictures.
    try:
        data = read_bytes(photo.uri)
        if photo.image_sha256 and hashlib.sha256(data).hexdigest() != photo.image_sha256:
            return AttentionPicture(photo, problem="the photo has changed since it was captioned")
        return draw(photo, data)
    except Exception as error:
        _logger.debug("no attention picture of %s", photo.uri, exc_info=True)
        cause = error.__cause__ if isinstance(error, FetchFailedError) else error
        return AttentionPicture(photo, problem=f"cannot be drawn ({type(cause).__name__})")


def _draw(
    photo: CaptionedPhoto, data: bytes, captioner: "Captioner", decode: DecodeConfig
) -> AttentionPicture:
    # Imported late: they import TensorFlow.
    from beam_jobs.explaining.picture import draw_explanation
    from model_lib.attention import explain

    found = explain(captioner, data, decode)
    if found.caption.text != photo.caption:
        return AttentionPicture(photo, problem=f"the model says here: {found.caption.text}")
    picture = draw_explanation(found, data, captioner.info.preprocess, _PICTURE)
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    text = base64.b64encode(encoded.getvalue()).decode("ascii")
    return AttentionPicture(photo, f"data:image/jpeg;base64,{text}", picture.width, picture.height)
