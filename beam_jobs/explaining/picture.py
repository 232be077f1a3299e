"""The picture of an explanation: the photo and its caption, then one panel a word.

Takes what `model_lib.attention.explain` found and the photo's bytes; gives a Pillow image. Colours
mean the same in all panels of a picture; a legend says what.
"""

import math

import numpy as np
from PIL import Image, ImageDraw

from beam_jobs.explaining.fonts import font_for, shortened, width_of
from beam_jobs.explaining.heat import HeatScale, colours, heat_over, scale_of
from beam_jobs.explaining.layout import Heat, Layout, PictureConfig, lay_out
from model_lib.attention import Explanation
from model_lib.config import PreprocessConfig
from model_lib.image_decoding import decode_frame
from model_lib.preprocessing import place

_OF: dict[Heat, str] = {"contributions": "what is read at", "weights": "the attention on"}
_PAPER, _INK, _SOFT = (255, 255, 255), (28, 29, 31), (93, 96, 102)


def draw_explanation(
    found: Explanation,
    data: bytes,
    preprocess: PreprocessConfig,
    config: PictureConfig | None = None,
) -> Image.Image:
    """Draws an explanation.

    Args:
        found: what was looked at.
        data: the photo's encoded bytes.
        preprocess: of the bundle that explained it.
        config: how large things are.

    Returns:
        An RGB picture.

    Raises:
        model_lib.errors.ImageError: where the bytes are no photo.
    """
    config = config or PictureConfig()
    original = (found.image.width, found.image.height)
    caption = found.caption.text or "(empty caption)"
    layout = lay_out(caption, len(found.words), original, config)
    picture = Image.new("RGB", layout.size, _PAPER)
    photo = _photo(data, preprocess, layout.photo)
    _draw_photo(picture, photo, layout, config)
    weights = found.contributions if config.heat == "contributions" else found.weights
    scale = scale_of(weights)
    placement = place(*original, preprocess)
    small = photo.resize(layout.panel, Image.Resampling.LANCZOS)
    for at, (left, top) in enumerate(layout.words):
        _draw_title(picture, (left, top), found.words[at], float(found.log_probs[at]), config)
        side = preprocess.image_size
        panel = heat_over(small, weights[at], scale, placement, original, side)
        picture.paste(panel, (left, top + config.line))
    _draw_foot(picture, found, scale, layout, config)
    return picture


def _photo(data: bytes, preprocess: PreprocessConfig, size: tuple[int, int]) -> Image.Image:
    """Decodes the photo, upright, at a size in pixels."""
    frame = decode_frame(data, preprocess.max_pixels, lambda *_: (2 * size[0], 2 * size[1]))
    return frame.image.resize(size, Image.Resampling.LANCZOS, box=frame.content, reducing_gap=2.0)


def _draw_photo(
    picture: Image.Image, photo: Image.Image, layout: Layout, config: PictureConfig
) -> None:
    top = layout.margin + config.line
    picture.paste(photo, (layout.margin, top))
    top += photo.height + config.gap // 2
    for line in layout.caption:
        _write(picture, (layout.margin, top), line, layout.caption_letters, _INK)
        top += layout.caption_line


def _draw_title(
    picture: Image.Image, corner: tuple[int, int], word: str, log_prob: float, config: PictureConfig
) -> None:
    """Writes a word, and behind it how probable the model found it after those before it."""
    left, top = corner
    small = config.small_letters
    share = _percent(math.exp(min(log_prob, 0.0)))
    room = config.panel_width - width_of(share, small) - config.gap
    word = shortened(word, config.letters, room)
    base = top + config.letters
    _write(picture, (left, base), word, config.letters, _INK, anchor="ls")
    place = (left + width_of(word, config.letters) + config.gap // 2, base)
    _write(picture, place, share, small, _SOFT, anchor="ls")


def _draw_foot(
    picture: Image.Image,
    found: Explanation,
    scale: HeatScale,
    layout: Layout,
    config: PictureConfig,
) -> None:
    """Writes at the bottom what the colours mean, and how sure the model was of the caption."""
    small, gap = config.small_letters, config.gap // 2
    left, base = layout.margin, layout.size[1] - layout.margin
    right = layout.size[0] - layout.margin
    if found.confidence is None:
        confidence = f"a word's probability {_percent(math.exp(min(found.caption.score, 0.0)))}"
    else:
        confidence = f"confidence {_percent(found.confidence)}"
    _write(picture, (right, base), confidence, small, _SOFT, anchor="rs")
    if not found.words:
        return
    _write(picture, (left, base), low := _percent(scale.low), small, _SOFT, anchor="ls")
    left += width_of(low, small) + gap
    bar = colours(np.tile(np.linspace(0, 1, config.panel_width, dtype=np.float32), (small, 1)))
    picture.paste(Image.fromarray(bar.astype(np.uint8)), (left, base - small + 1))
    left += config.panel_width + gap
    text = (
        f"{_percent(scale.high)} of {_OF[config.heat]} one of {found.weights[0].size} parts of the "
        "photo; dark: no more than its even share"
    )
    text = shortened(text, small, right - left - width_of(confidence, small) - 2 * gap)
    _write(picture, (left, base), text, small, _SOFT, anchor="ls")


def _write(
    picture: Image.Image,
    place: tuple[int, int],
    text: str,
    size: int,
    colour: tuple[int, int, int],
    anchor: str = "la",
) -> None:
    font = font_for(text, size)
    ImageDraw.Draw(picture).text(place, text, colour, font=font, anchor=anchor)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.1f}%"
