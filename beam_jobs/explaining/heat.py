"""Heat over a photo: the attention for one word as colours.

Takes weights over the encoder's feature map and the photo as it is shown; gives the photo with
colours over what the model saw. Colours are matplotlib's `inferno` (CC0), whose lightness rises
evenly, so that the order holds in grey print and for colour-blind eyes.

Legend: h and w rows and columns of the feature map, H and W of the photo as it is shown.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
from PIL import Image

from model_lib.preprocessing import Placement

Floats = npt.NDArray[np.float32]
# `inferno` at 0, 1/8, ..., 1; in between a straight line is right to 3 of 255.
_INFERNO = np.array(
    [
        (0, 0, 4),
        (31, 12, 72),
        (85, 15, 109),
        (136, 34, 106),
        (186, 54, 85),
        (227, 89, 51),
        (249, 140, 10),
        (249, 201, 50),
        (252, 255, 164),
    ],
    np.float32,
)
# How much of a panel is colour where there is least and most heat; the rest is the photo.
_LEAST_COLOUR, _MOST_COLOUR = 0.25, 0.8
# What is left of the photo's own colours below the heat.
_SATURATION = 0.4
# Brightness of what the model did not see.
_UNSEEN = 0.3


@dataclasses.dataclass(frozen=True)
class HeatScale:
    """Which shares are darkest and brightest; one for all words of a caption.

    Attributes:
        low: share of one position where colours begin, 0..1.
        high: share where they end, 0..1.
    """

    low: float
    high: float

    def heat(self, shares: Floats) -> Floats:
        """Returns shares as heat, 0..1; 0 where there is nothing to tell apart."""
        if self.high <= self.low:
            return np.zeros_like(shares)
        return np.asarray(np.clip((shares - self.low) / (self.high - self.low), 0, 1), np.float32)


def scale_of(shares: Floats) -> HeatScale:
    """Returns the scale of a caption's shares, float32 [words,h,w].

    Colours begin at the even share of a position, 1 / (h * w), and end at the largest share:
    heat is what is looked at more than the rest of the photo.
    """
    if not shares.size:
        return HeatScale(0.0, 0.0)
    return HeatScale(1.0 / shares[0].size, float(shares.max()))


def colours(heat: Floats) -> Floats:
    """Returns the colour of each value of heat (0..1), as float32 [...,3], 0..255."""
    stops = np.linspace(0.0, 1.0, len(_INFERNO))
    channels = [np.interp(heat, stops, _INFERNO[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def spread(weights: Floats, placement: Placement, side: int, size: tuple[int, int]) -> Floats:
    """Enlarges weights over the feature map to the part of the photo that the model saw.

    Args:
        weights: float32 [h,w] over the model's square input.
        placement: how the photo came into the square.
        side: of the square in pixels.
        size: (width, height) that the part that is used has as it is shown.

    Returns:
        float32 [height,width], bicubic. Black bars of the square are left out.
    """
    rows, columns = weights.shape
    left, top = placement.offset
    width, height = placement.size
    box = (
        left * columns / side,
        top * rows / side,
        (left + width) * columns / side,
        (top + height) * rows / side,
    )
    image = Image.fromarray(np.ascontiguousarray(weights, np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=box))


def heat_over(
    photo: Image.Image,
    weights: Floats,
    scale: HeatScale,
    placement: Placement,
    original: tuple[int, int],
    side: int,
) -> Image.Image:
    """Lays heat over a photo; what the model did not see is dark.

    Args:
        photo: RGB, the whole photo as it is shown.
        weights: float32 [h,w] of one word.
        scale: of the whole caption.
        placement: how the original came into the model's input.
        original: (width, height) of the original in pixels.
        side: of the model's input in pixels.

    Returns:
        An RGB picture of the photo's size.
    """
    pixels = np.asarray(photo.convert("RGB"), np.float32)
    left, top, right, bottom = _shown_box(placement.box, original, photo.size)
    seen = pixels[top:bottom, left:right]
    heat = scale.heat(spread(weights, placement, side, (right - left, bottom - top)))
    result = pixels * _UNSEEN
    result[top:bottom, left:right] = _blend(seen, heat)
    return Image.fromarray(np.round(result).clip(0, 255).astype(np.uint8))


def _blend(seen: Floats, heat: Floats) -> Floats:
    grey = seen @ np.array([0.299, 0.587, 0.114], np.float32)
    muted = grey[..., np.newaxis] * (1 - _SATURATION) + seen * _SATURATION
    share = (_LEAST_COLOUR + (_MOST_COLOUR - _LEAST_COLOUR) * heat)[..., np.newaxis]
    return np.asarray(muted * (1 - share) + colours(heat) * share, np.float32)


def _shown_box(
    box: tuple[int, int, int, int], original: tuple[int, int], shown: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Returns a box of the original in pixels of the photo as it is shown; never empty."""
    scale_x, scale_y = shown[0] / original[0], shown[1] / original[1]
    left, top = int(box[0] * scale_x), int(box[1] * scale_y)
    right, bottom = round(box[2] * scale_x), round(box[3] * scale_y)
    return left, top, max(right, left + 1), max(bottom, top + 1)
