"""Encoded image bytes to the encoder's square input: one way for training and for serving.

Takes the bytes of one image; returns uint8 pixels [S,S,3] in 0..255 with S =
`PreprocessConfig.image_size`. Scaling to the range a backbone wants is the encoder's work.

Dimensions: S side of the model input; H, W height and width of the upright original.

Same bytes, same pixels, called eagerly or inside `tf.data`: both run the code below. Frames are
made smaller with Pillow's bilinear filter, whose support grows with the scale (antialiased). Two
shortcuts for large frames come before that filter: JPEGs are decoded at 1/2, 1/4 or 1/8 of their
size, where that leaves at least the final size, as a cosine transform of fewer frequencies makes
good small pictures; other formats are averaged in whole blocks of pixels, where that leaves twice
the final size. Both depend on the bytes and the config alone.

TensorFlow is imported only by `Preprocessor.map_fn`.
"""

import dataclasses
import hashlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from model_lib.config import PreprocessConfig
from model_lib.image_decoding import DecodedImage, Pixels, RgbFrame, decode_frame, decode_image

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["DecodedImage", "Placement", "PreparedImage", "Preprocessor", "decode_image", "place"]

_SPARE_SCALE = 2.0  # how much larger than the final size averaging must leave a frame


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image ready for the encoder, with what a caption row says of it.

    Attributes:
        pixels: uint8 [S,S,3], RGB, 0..255, read-only.
        width: of the original in pixels, after the EXIF orientation.
        height: of the original in pixels, after the EXIF orientation.
        format: `jpeg`, `png`, `webp`, `gif` or `bmp`.
        sha256: hex digest of the encoded bytes.
    """

    pixels: Pixels
    width: int
    height: int
    format: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Placement:
    """Which part of a frame goes where in the square.

    Attributes:
        box: (left, top, right, bottom) of the part that is used, in pixels of the frame.
        size: (width, height) it gets, in pixels of the square.
        offset: (left, top) of it in the square; what it leaves free is black.
    """

    box: tuple[int, int, int, int]
    size: tuple[int, int]
    offset: tuple[int, int]


def place(width: int, height: int, config: PreprocessConfig) -> Placement:
    """Works out how a frame becomes square.

    A 640 x 480 frame for a side of 320:

    - `squash`: box (0, 0, 640, 480), size (320, 320), offset (0, 0)
    - `crop`: box (80, 0, 560, 480), size (320, 320), offset (0, 0)
    - `pad`: box (0, 0, 640, 480), size (320, 240), offset (0, 40)

    Where the halves are uneven, the odd pixel is on the right or at the bottom.

    Args:
        width: of the upright frame in pixels.
        height: of the upright frame in pixels.
        config: the side of the square and the way to fit.

    Returns:
        The placement.
    """
    side = config.image_size
    if config.fit == "crop":
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        return Placement((left, top, left + short, top + short), (side, side), (0, 0))
    if config.fit == "pad":
        scale = side / max(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        offset = (side - size[0]) // 2, (side - size[1]) // 2
        return Placement((0, 0, width, height), size, offset)
    return Placement((0, 0, width, height), (side, side), (0, 0))


class Preprocessor:
    """Makes the encoder's input from encoded bytes; stateless, safe to share between threads."""

    def __init__(self, config: PreprocessConfig) -> None:
        """Keeps the settings.

        Args:
            config: side of the square, way to fit, pixel limit.
        """
        self.config = config

    def __call__(self, data: bytes) -> PreparedImage:
        """Prepares one image.

        A 640 x 480 JPEG with `image_size` 299 gives `pixels` [299,299,3], `width` 640, `height`
        480, `format` "jpeg". An image of S x S pixels already is passed on unchanged.

        Args:
            data: the encoded bytes.

        Returns:
            The pixels, and the original's size, format and digest.

        Raises:
            ImageError: one of its subclasses, for whatever is wrong with the bytes.
        """
        frame = decode_frame(data, self.config.max_pixels, self._smallest_useful_size)
        digest = hashlib.sha256(data).hexdigest()
        return PreparedImage(
            self._to_square(frame), frame.width, frame.height, frame.format, digest
        )

    def map_fn(self, encoded: "tf.Tensor") -> "tf.Tensor":
        """Prepares one image inside a `tf.data` pipeline: `dataset.map(preprocessor.map_fn)`.

        Args:
            encoded: string scalar, the encoded bytes.

        Returns:
            uint8 [S,S,3], equal to `self(data).pixels`.

        Raises:
            tf.errors.OpError: when the tensor is evaluated, with the name and the message of the
                `ImageError` in its text.
        """
        import tensorflow as tf  # here, so that decoding alone needs no TensorFlow

        pixels = tf.numpy_function(self._pixels, [encoded], tf.uint8, stateful=False)
        return tf.ensure_shape(pixels, [self.config.image_size, self.config.image_size, 3])

    def _pixels(self, encoded: bytes | npt.NDArray[np.object_]) -> Pixels:
        """Takes what `tf.numpy_function` passes on: bytes in a graph, a 0-d array eagerly."""
        return self(encoded if isinstance(encoded, bytes) else encoded.item()).pixels

    def _smallest_useful_size(self, width: int, height: int) -> tuple[int, int]:
        """Returns the frame size at which the used part has its final size, or more."""
        placement = place(width, height, self.config)
        left, top, right, bottom = placement.box
        scale_x = placement.size[0] / (right - left)
        scale_y = placement.size[1] / (bottom - top)
        return max(1, round(width * scale_x)), max(1, round(height * scale_y))

    def _to_square(self, frame: RgbFrame) -> Pixels:
        placement = place(frame.width, frame.height, self.config)
        left, top, right, bottom = frame.content
        scale_x, scale_y = (right - left) / frame.width, (bottom - top) / frame.height
        box = (
            left + placement.box[0] * scale_x,
            top + placement.box[1] * scale_y,
            left + placement.box[2] * scale_x,
            top + placement.box[3] * scale_y,
        )
        side = self.config.image_size
        whole = (0.0, 0.0, float(side), float(side))
        if frame.size == placement.size == (side, side) and box == whole:
            return frame.pixels
        resized = frame.image.resize(
            placement.size, Image.Resampling.BILINEAR, box=box, reducing_gap=_SPARE_SCALE
        )
        if resized.size == (side, side):
            return np.asarray(resized)
        square = Image.new("RGB", (side, side))
        square.paste(resized, placement.offset)
        return np.asarray(square)
