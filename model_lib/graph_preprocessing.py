"""`preprocessing.Preprocessor` in TensorFlow operations, for graphs that run without Python.

Takes encoded images; returns uint8 pixels [B,S,S,3] and which images could be read. The steps
are the preprocessor's: JPEGs decoded at 1/2, 1/4 or 1/8, other large frames averaged in blocks,
then Pillow's bilinear filter, rows first, rounded to whole numbers in between. Pixels differ
where TensorFlow's decoders differ from Pillow's (docs/export.md has the list).

TensorFlow's decoders fail a whole batch for one damaged image. Inside `tf.data`, whose
operations are part of the graph, an image that fails is left out and the others stay.

Legend: B images, S side of the square, h and w of a frame, possibly reduced while decoding; H and
W of the upright original.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from model_lib import graph_headers
from model_lib.config import PreprocessConfig
from model_lib.graph_headers import Octets

_SPARE_SCALE = 2.0  # as in preprocessing.py
_SIDEWAYS = (5, 6, 7, 8)
_LEFT_EDGE_WAS_LAST = (2, 3, 6, 7)
_TOP_EDGE_WAS_LAST = (3, 4, 7, 8)


class _Frame(NamedTuple):
    """An upright frame.

    Attributes:
        pixels: uint8 [h,w,3].
        content: (left, top, right, bottom) that the original fills in it, float64 [4].
        size: width and height of the original, float64 [2].
    """

    pixels: Any
    content: Any
    size: Any


class GraphPreprocessor:
    """Makes the encoder's input inside a graph; stateless."""

    def __init__(self, config: PreprocessConfig) -> None:
        """Keeps the settings.

        Args:
            config: side of the square, way to fit, pixel limit.
        """
        self.config = config

    def __call__(self, encoded: Any) -> tuple[Any, Any]:
        """Prepares a batch.

        Args:
            encoded: string [B], the bytes of JPEG, PNG, GIF or BMP files.

        Returns:
            Pixels uint8 [B,S,S,3], black where an image cannot be read, and whether it can,
            bool [B].
        """
        count = tf.size(encoded)
        shape = [self.config.image_size, self.config.image_size, 3]
        read = (
            tf.data.Dataset.from_tensor_slices((tf.range(count), encoded))
            .map(
                lambda row, data: (row, self.prepare(data)),
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
            .ignore_errors()
        )
        # A last row, cut off below, so that there is one even if no image can be read.
        last = tf.data.Dataset.from_tensors((count, tf.zeros(shape, tf.uint8)))
        batch = read.concatenate(last).batch(tf.cast(count, tf.int64) + 1)
        rows, pixels = batch.get_single_element()
        places, whole = rows[:, tf.newaxis], tf.concat([[count + 1], shape], axis=0)
        pixels = tf.scatter_nd(places, pixels, whole)[:count]
        is_read = tf.scatter_nd(places, tf.ones_like(rows), [count + 1])[:count] > 0
        return tf.ensure_shape(pixels, [None, *shape]), is_read

    def prepare(self, encoded: Any) -> Any:
        """Prepares one image.

        Args:
            encoded: string scalar.

        Returns:
            uint8 [S,S,3].

        Raises:
            tf.errors.InvalidArgumentError: when it runs, for an image that cannot be read.
        """
        octets = Octets(encoded)
        kind = graph_headers.sniff_format(octets)
        decoders: dict[int, Callable[[], _Frame]] = {
            graph_headers.JPEG: lambda: self._jpeg(encoded, octets),
            graph_headers.PNG: lambda: self._png(encoded, octets),
            graph_headers.GIF: lambda: self._gif(encoded, octets),
            graph_headers.BMP: lambda: self._bmp(encoded, octets),
        }
        known = tf.reduce_any(kind == list(decoders))
        with _unless(known, "not an image of a format that is read here"):
            kind = tf.identity(kind)
        return self._to_square(_Frame(*tf.switch_case(kind, decoders)))

    def _jpeg(self, encoded: Any, octets: Octets) -> _Frame:
        header = graph_headers.read_jpeg_header(octets)
        is_sideways = _is_one_of(header.orientation, _SIDEWAYS)
        stored = self._checked_size(header.width, header.height)
        with _unless(header.is_complete, "the JPEG ends early"):
            upright = tf.where(is_sideways, stored[::-1], stored)
        smallest = self._smallest_useful_size(upright)
        smallest = tf.where(is_sideways, smallest[::-1], smallest)
        times = tf.reduce_min(stored // smallest)
        # 0 for the whole size, 1 for half of it, ...
        halvings = tf.reduce_sum(tf.cast(times >= [2, 4, 8], tf.int32))
        pixels = tf.switch_case(halvings, [_jpeg_decoder(encoded, n) for n in (1, 2, 4, 8)])
        filled = stored / tf.cast(2**halvings, tf.float64)
        return _upright(pixels, filled, upright, header.orientation)

    def _png(self, encoded: Any, octets: Octets) -> _Frame:
        size = self._checked_size(*graph_headers.png_size(octets))
        # Of pictures with fewer than 8 bits TensorFlow makes up an alpha channel that is not 255.
        # 16-bit values keep their high byte.
        with tf.control_dependencies([size]):
            pixels = tf.cond(
                graph_headers.png_has_transparency(octets),
                lambda: _over_white(tf.io.decode_png(encoded, channels=4)),
                lambda: tf.io.decode_png(encoded, channels=3),
            )
        return _whole(pixels, size)

    def _gif(self, encoded: Any, octets: Octets) -> _Frame:
        size = self._checked_size(*graph_headers.gif_size(octets))
        with tf.control_dependencies([size]):
            pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        return _whole(pixels, size)

    def _bmp(self, encoded: Any, octets: Octets) -> _Frame:
        size = self._checked_size(*graph_headers.bmp_size(octets))
        with tf.control_dependencies([size]):
            pixels = tf.io.decode_bmp(encoded)
        # TensorFlow returns the numbers of a palette's colours, which are stored BGR0.
        palette = 14 + octets.number(tf.constant(14), 4, True)
        numbers = tf.cast(pixels[..., :1], tf.int32)
        colours = octets.at(palette + 4 * numbers + tf.constant([2, 1, 0]))
        is_palette = octets.number(tf.constant(28), 2, True) == 8
        pixels = tf.cond(is_palette, lambda: tf.cast(colours, tf.uint8), lambda: pixels[..., :3])
        return _whole(pixels, size)

    def _checked_size(self, width: Any, height: Any) -> Any:
        """Returns width and height float64 [2] of a header, if they are within the limit."""
        size = tf.cast(tf.stack([width, height]), tf.float64)
        fits = tf.reduce_all(size > 0) & (tf.reduce_prod(size) <= self.config.max_pixels)
        with _unless(fits, "the header announces no pixels or too many"):
            return tf.identity(size)

    def _place(self, size: Any) -> tuple[Any, Any, Any]:
        """`preprocessing.place` for a frame's width and height, float64 [2].

        Returns:
            The used box's corners float64 [2,2], its size in the square float64 [2] and its offset
            there, both as width and height.
        """
        side = tf.constant([self.config.image_size] * 2, tf.float64)
        zero = tf.zeros_like(side)
        if self.config.fit == "crop":
            short = tf.reduce_min(size)
            corner = (size - short) // 2
            return tf.stack([corner, corner + short]), side, zero
        if self.config.fit == "pad":
            scale = self.config.image_size / tf.reduce_max(size)
            fitted = tf.maximum(tf.round(size * scale), 1.0)
            return tf.stack([zero, size]), fitted, (side - fitted) // 2
        return tf.stack([zero, size]), side, zero

    def _smallest_useful_size(self, size: Any) -> Any:
        box, fitted, _ = self._place(size)
        return tf.maximum(tf.round(size * (fitted / (box[1] - box[0]))), 1.0)

    def _to_square(self, frame: _Frame) -> Any:
        box, fitted, offset = self._place(frame.size)
        start, end = frame.content[:2], frame.content[2:]
        box = start + box * (end - start) / frame.size
        pixels, box = _reduce(frame.pixels, box, fitted)
        pixels = _resize(pixels, box, tf.cast(fitted, tf.int32))
        left, top = tf.unstack(tf.cast(offset, tf.int32))
        side = self.config.image_size
        square = tf.image.pad_to_bounding_box(pixels, top, left, side, side)
        return tf.ensure_shape(square, [side, side, 3])


def _unless(is_right: Any, message: str) -> Any:
    return tf.control_dependencies([tf.debugging.Assert(is_right, [message])])


def _size_of(pixels: Any) -> Any:
    """Returns width and height float64 [2] of [h,w,3]."""
    return tf.cast(tf.gather(tf.shape(pixels), [1, 0]), tf.float64)


def _is_one_of(value: Any, choices: tuple[int, ...]) -> Any:
    return tf.reduce_any(value == list(choices))


def _jpeg_decoder(encoded: Any, ratio: int) -> Callable[[], Any]:
    # libjpeg's own default transform, which Pillow uses; TensorFlow's is a faster one.
    return lambda: tf.io.decode_jpeg(encoded, 3, ratio, dct_method="INTEGER_ACCURATE")


def _over_white(pixels: Any) -> Any:
    """Lays pixels uint8 [h,w,4] over white: uint8 [h,w,3]."""
    colours, alpha = tf.split(tf.cast(pixels, tf.int32), [3, 1], axis=-1)
    return tf.cast((colours * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)


def _whole(pixels: Any, size: Any) -> _Frame:
    """A frame as it is stored, of its full size; a header that says another is damaged."""
    actual = _size_of(pixels)
    with _unless(tf.reduce_all(actual == size), "the frame is not of the header's size"):
        pixels = tf.identity(pixels)
    return _Frame(pixels, tf.concat([tf.zeros_like(size), size], axis=0), size)


def _upright(pixels: Any, filled: Any, size: Any, orientation: Any) -> _Frame:
    """Turns a stored frame, of which the upper left `filled` pixels are the original's."""
    is_sideways = _is_one_of(orientation, _SIDEWAYS)
    pixels = tf.cond(is_sideways, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
    filled = tf.where(is_sideways, filled[::-1], filled)
    is_last = tf.stack(
        [_is_one_of(orientation, _LEFT_EDGE_WAS_LAST), _is_one_of(orientation, _TOP_EDGE_WAS_LAST)]
    )
    pixels = tf.cond(is_last[0], lambda: pixels[:, ::-1], lambda: pixels)
    pixels = tf.cond(is_last[1], lambda: pixels[::-1], lambda: pixels)
    actual = _size_of(pixels)
    start = tf.where(is_last, actual - filled, 0.0)
    return _Frame(pixels, tf.concat([start, start + filled], axis=0), size)


def _reduce(pixels: Any, box: Any, fitted: Any) -> tuple[Any, Any]:
    """Averages whole blocks where this leaves `_SPARE_SCALE` times the final size.

    Args:
        pixels: uint8 [h,w,3].
        box: corners float64 [2,2] of what is used.
        fitted: its final width and height, float64 [2].

    Returns:
        Fewer pixels, and the box in them.
    """
    factors = tf.maximum(tf.floor((box[1] - box[0]) / fitted / _SPARE_SCALE), 1.0)
    size = _size_of(pixels)
    # The filter reaches half a final pixel beyond the box.
    reach = 0.5 * (box[1] - box[0]) / fitted
    low = tf.maximum(tf.floor(box[0] - reach), 0.0)
    high = tf.minimum(tf.math.ceil(box[1] + reach), size)
    needed = tf.reduce_any(factors > 1)
    reduced = tf.cond(needed, lambda: _block_means(pixels, low, high, factors), lambda: pixels)
    return reduced, tf.where(needed, (box - low) / factors, box)


def _block_means(pixels: Any, low: Any, high: Any, factors: Any) -> Any:
    """Means of blocks, rounded: uint8 [h,w,3] -> uint8; the last ones may be smaller.

    Divides as Pillow does, by multiplying with a 24-bit reciprocal: most halves go down.
    """
    left, top = tf.unstack(tf.cast(low, tf.int32))
    right, bottom = tf.unstack(tf.cast(high, tf.int32))
    columns, rows = tf.unstack(tf.cast(factors, tf.int32))
    part = tf.cast(pixels[top:bottom, left:right], tf.int32)
    for axis, factor in ((0, rows), (1, columns)):
        part = tf.math.segment_sum(
            tf.transpose(part, [axis, 1 - axis, 2]), tf.range(tf.shape(part)[axis]) // factor
        )
        part = tf.transpose(part, [axis, 1 - axis, 2])
    heights = _block_sizes(bottom - top, rows)
    counts = heights[:, tf.newaxis] * _block_sizes(right - left, columns)
    counts = tf.cast(counts[..., tf.newaxis], tf.int64)
    sums = tf.cast(part, tf.int64) + counts // 2
    return tf.cast(sums * (2**24 // counts) // 2**24, tf.uint8)


def _block_sizes(size: Any, factor: Any) -> Any:
    blocks = tf.range(size) // factor
    return tf.math.segment_sum(tf.ones_like(blocks), blocks)


def _resize(pixels: Any, box: Any, fitted: Any) -> Any:
    """Resizes a box [2,2] of uint8 [h,w,3] to `fitted`: uint8, as Pillow's bilinear filter does."""
    scale = tf.cast(fitted, tf.float64) / (box[1] - box[0])
    shift = tf.cast(-box[0] * scale, tf.float32)
    scale = tf.cast(scale, tf.float32)
    height = tf.shape(pixels)[0]
    across = _filtered(pixels, tf.stack([height, fitted[0]]), [1.0, scale[0]], [0.0, shift[0]])
    both = _filtered(across, fitted[::-1], [scale[1], 1.0], [shift[1], 0.0])
    return tf.cast(both, tf.uint8)


def _filtered(pixels: Any, size: Any, scale: Any, shift: Any) -> Any:
    """Filters [h,w,3] with a triangle that grows with the scale; whole numbers, float32."""
    values = tf.raw_ops.ScaleAndTranslate(
        images=pixels[tf.newaxis],
        size=size,
        scale=tf.stack(scale),
        translation=tf.stack(shift),
        kernel_type="triangle",
        antialias=True,
    )
    return tf.floor(tf.clip_by_value(values[0], 0.0, 255.0) + 0.5)
