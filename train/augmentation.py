"""Views of a photo for training: whole, mirrored, and random crops of both.

Takes encoded bytes; returns uint8 pixels [S,S,3]. View 0 is exactly what serving sees.
"""

import hashlib
from typing import Any

import numpy as np
from PIL import Image

from model_lib.preprocessing import Preprocessor

VIEWS_VERSION = 1
_SMALLEST_AREA = 0.6
_LARGEST_ASPECT = 1.25


def photo_views(preprocessor: Preprocessor, data: bytes, num_views: int) -> np.ndarray[Any, Any]:
    """Returns views of a photo.

    View 0 is the whole photo, view 1 its mirror image; from 2 on, even views are random crops
    of 60 to 100 % of the area, odd ones mirrored random crops. The same bytes and view give
    the same pixels, however many views are asked for.

    Args:
        preprocessor: the one that serving uses.
        data: encoded bytes.
        num_views: W, 1 or more.

    Returns:
        uint8 [W,S,S,3].

    Raises:
        ImageError: where the bytes are no image.
    """
    pixels = preprocessor(data).pixels
    digest = hashlib.sha256(data).digest()
    views = [pixels, pixels]
    views += [
        _random_crop(pixels, np.random.default_rng([view, *digest])) for view in range(2, num_views)
    ]
    return np.stack(
        [pixels[:, ::-1] if view % 2 else pixels for view, pixels in enumerate(views[:num_views])]
    )


def _random_crop(pixels: np.ndarray[Any, Any], random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Cuts a rectangle out and stretches it to the square it came from."""
    side = pixels.shape[0]
    area = random.uniform(_SMALLEST_AREA, 1.0)
    aspect = np.exp(random.uniform(-np.log(_LARGEST_ASPECT), np.log(_LARGEST_ASPECT)))
    width, height = (min(1.0, float(np.sqrt(area * r))) * side for r in (aspect, 1 / aspect))
    left, top = random.uniform(0, side - width), random.uniform(0, side - height)
    box = (left, top, left + width, top + height)
    crop = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC, box=box)
    return np.asarray(crop)
