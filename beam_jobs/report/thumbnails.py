"""Small previews of photos, read again from their URIs, as JPEG data URIs for a page.

Takes URIs and a function that reads their bytes; gives one thumbnail a URI, or the reason
why there is none. Nothing here raises for a photo that went away, changed or hangs: the
report of a finished run must not fail for a picture. Reading is threaded, since most of
it is waiting.
"""

import base64
import dataclasses
import hashlib
import io
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from beam_jobs.fetching.fetcher import FetchFailedError
from model_lib.image_decoding import decode_frame

ReadBytes = Callable[[str], bytes]

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ThumbnailConfig:
    """How thumbnails are made.

    Attributes:
        side: the longer side in pixels.
        jpeg_quality: 1..95.
        max_pixels: larger photos get no thumbnail, so that memory stays bounded.
        num_threads: photos read at the same time.
        time_limit_secs: reading starts for no further photo after this time.
        wanted: whether photos are read at all.
    """

    side: int = 320
    jpeg_quality: int = 80
    max_pixels: int = 50_000_000
    num_threads: int = 4
    time_limit_secs: float = 60.0
    wanted: bool = True


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """A preview, or why there is none.

    Attributes:
        data_uri: `data:image/jpeg;base64,...`; empty where there is none.
        width: of the preview in pixels.
        height: of the preview in pixels.
        problem: why there is none; empty where there is one.
    """

    data_uri: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""


def make_thumbnail(data: bytes, config: ThumbnailConfig) -> Thumbnail:
    """Makes one preview from encoded bytes, whole frame, aspect kept, never enlarged.

    Args:
        data: an encoded image.
        config: how.

    Raises:
        model_lib.errors.ImageError: when the bytes are not an image that can be read.
    """

    def enough(width: int, height: int) -> tuple[int, int]:
        # Twice the preview's size: a JPEG decoded no larger than that still looks sharp.
        scale = min(2 * config.side / max(width, height), 1.0)
        return math.ceil(width * scale), math.ceil(height * scale)

    image = decode_frame(data, config.max_pixels, enough).image
    image.thumbnail((config.side, config.side), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=config.jpeg_quality, optimize=True)
    text = base64.b64encode(encoded.getvalue()).decode("ascii")
    return Thumbnail(f"data:image/jpeg;base64,{text}", image.width, image.height)


def read_thumbnails(
    photos: Mapping[str, str], read_bytes: ReadBytes, config: ThumbnailConfig
) -> dict[str, Thumbnail]:
    """Reads photos again and makes their previews.

    Args:
        photos: URI -> SHA-256 (hex) of the bytes that were captioned; a photo that has other
            bytes now gets no preview, for its caption belongs to the old ones. An empty
            digest is not compared.
        read_bytes: gives the bytes of a URI or raises; called by several threads at a time,
            and must give up in finite time.
        config: how.

    Returns:
        One thumbnail for each URI of `photos`; never raises for a photo.
    """
    if not config.wanted:
        return dict.fromkeys(photos, Thumbnail(problem="previews were not asked for"))
    deadline = time.monotonic() + config.time_limit_secs

    def read(uri: str) -> Thumbnail:
        if time.monotonic() > deadline:
            return Thumbnail(problem="not read: the time limit for previews was reached")
        # The record boundary: whatever one photo does, the others keep their previews.
        try:
            return _read_thumbnail(uri, photos[uri], read_bytes, config)
        except Exception as error:
            _logger.debug("no preview of %s", uri, exc_info=True)
            cause = error.__cause__ if isinstance(error, FetchFailedError) else error
            return Thumbnail(problem=f"cannot be read again ({type(cause).__name__})")

    with ThreadPoolExecutor(config.num_threads, thread_name_prefix="thumbnails") as pool:
        return dict(zip(photos, pool.map(read, photos), strict=True))


def _read_thumbnail(
    uri: str, sha256: str, read_bytes: ReadBytes, config: ThumbnailConfig
) -> Thumbnail:
    data = read_bytes(uri)
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        return Thumbnail(problem="the photo has changed since it was captioned")
    return make_thumbnail(data, config)
