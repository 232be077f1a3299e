"""The captioner: encoded image bytes in, captions out.

Joins preprocessing, encoder, decoder, decoding and vocabulary. The fast path is two compiled
graphs with the weights frozen into constants: the encoder's, uint8 pixels -> features, and one
for each decode settings, features -> words. A CPU encodes a few images at a time, which then
stay in its cache, draws the words of many together, and does so in as many streams as it has
cores; a GPU takes whole batches.

Legend: B batch, S image side in pixels, P positions of the feature map, C its channels,
N captions an image, T most tokens drawn.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model_lib.bundle_info import BundleInfo
from model_lib.caption import Caption
from model_lib.captioning_graphs import Graph, decoder_graph
from model_lib.config import DEFAULT_BATCH_SIZE, DecodeConfig, EncoderRuntime, Precision
from model_lib.cores import core_shares
from model_lib.decoder import CaptionDecoder
from model_lib.encoder_runtime import Encode, make_encoder
from model_lib.errors import ConfigError
from model_lib.first_run import run_ahead, run_when_called
from model_lib.hypotheses import Hypotheses
from model_lib.preprocessing import PreparedImage, Preprocessor
from model_lib.streams import Streams
from model_lib.tokenizer import Tokenizer

# Images that a CPU encodes at a time: 4 of 224 x 224 take less than 20 MB between two layers.
_CPU_ENCODER_BATCH: Mapping[EncoderRuntime, int] = {"tensorflow": 4, "onnxruntime": 2}
# oneDNN lays a decoder's kernels out for the first run; with fewer images it would do so for
# products of few rows, and again for most others.
_FIRST_RUN_IMAGES = 16


class Captioner:
    """A trained captioner, ready to use; load one with `model_lib.bundle.load_bundle`."""

    def __init__(
        self,
        info: BundleInfo,
        encoder: keras.Model,
        decoder: CaptionDecoder,
        tokenizer: Tokenizer,
        precision: Precision = "float32",
        encoder_runtime: EncoderRuntime = "tensorflow",
    ) -> None:
        """Joins the parts.

        Args:
            info: name, fingerprint and settings; its preprocessing must fit the encoder.
            encoder: images [B,S,S,3] (0..255) -> features float32 [B,P,C].
            decoder: built for these features and this vocabulary.
            tokenizer: the vocabulary.
            precision: of the encoder's arithmetic; features, words and scores are float32.
            encoder_runtime: what runs the encoder; `onnxruntime` is faster on CPUs.

        Raises:
            ConfigError: for an unknown precision or runtime, and for a runtime that is not
                installed or cannot compute in this precision.
        """
        self.info = info
        self.encoder = encoder
        self.decoder = decoder
        self.tokenizer = tokenizer
        self.preprocessor = Preprocessor(info.preprocess)
        self._on_gpu = bool(tf.config.list_physical_devices("GPU"))
        shares = core_shares(on_gpu=self._on_gpu)
        self._cores = shares.streams * shares.threads
        self._streams = Streams(shares.streams, shares.smallest_part)
        self._make_encoder = make_encoder(
            encoder, encoder_runtime, precision, shares.threads, on_gpu=self._on_gpu
        )
        self._encoder_batch = None if self._on_gpu else _CPU_ENCODER_BATCH[encoder_runtime]
        self._compiled: dict[int | str, Any] = {}
        self._compile_lock = threading.Lock()

    def caption_bytes(
        self,
        images: Sequence[bytes],
        decode: DecodeConfig | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> list[list[Caption]]:
        """Captions encoded images.

        Args:
            images: bytes of JPEG, PNG, WebP, GIF or BMP files, any number.
            decode: how captions are drawn; by default as the bundle says.
            batch_size: images in one run of the network; does not change the captions.

        Returns:
            For each image its captions, best first.

        Raises:
            ImageError: for the first image that cannot be read.
            ConfigError: for a batch size below 1.
        """
        return self.caption_prepared(
            [self.preprocessor(data) for data in images], decode, batch_size
        )

    def caption_prepared(
        self,
        images: Sequence[PreparedImage],
        decode: DecodeConfig | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> list[list[Caption]]:
        """Captions images that `self.preprocessor` has decoded; else as `caption_bytes`."""
        _check_batch_size(batch_size)
        if not images:
            return []
        decode = decode or self.info.decode
        # First, so that TensorFlow optimises it while the encoder is traced.
        draw = self._decoder_graph(decode)

        def caption(part: Sequence[PreparedImage]) -> list[list[Caption]]:
            features = self._encode(part, batch_size)
            outputs = draw(features, _uniforms_of(part, decode))
            found = Hypotheses(*(output.numpy() for output in outputs))
            return [self._captions_of(found, row) for row in range(len(part))]

        parts = self._streams.map(caption, images, batch_size)
        return [captions for part in parts for captions in part]

    def encode_prepared(
        self,
        images: Sequence[PreparedImage],
        batch_size: int = DEFAULT_BATCH_SIZE,
        out: np.ndarray[Any, Any] | None = None,
    ) -> np.ndarray[Any, Any]:
        """Encodes images that `self.preprocessor` has decoded, as `caption_prepared` does.

        Args:
            images: at least one.
            batch_size: images in one run of the network.
            out: float32 [B,P,C] to write to; new memory where it is left out.

        Returns:
            The encoder's features float32 [B,P,C], in `out` where it is given.

        Raises:
            ConfigError: for a batch size below 1.
        """
        _check_batch_size(batch_size)
        features = self._room(len(images)) if out is None else out

        def encode(part: Sequence[int]) -> None:
            rows = slice(part[0], part[-1] + 1)
            self._encode(images[rows], batch_size, features[rows])

        # As few at a time as the encoder takes, so that no core waits long for the last ones.
        self._streams.map(encode, range(len(images)), self._encoded_at_once(batch_size))
        return features

    def _room(self, count: int) -> np.ndarray[Any, Any]:
        """Returns memory for the features float32 [B,P,C] of images."""
        return np.empty((count, *self.encoder.output_shape[1:]), np.float32)

    def _encode(
        self,
        images: Sequence[PreparedImage],
        batch_size: int,
        out: np.ndarray[Any, Any] | None = None,
    ) -> Any:
        """Returns the features float32 [B,P,C] of images, in `out` where it is given.

        A GPU encodes them in one call, and they stay in its memory.
        """
        size = self._encoded_at_once(batch_size)
        encode = self._encoder_of(size)
        if out is None and len(images) <= size:
            return encode(_stack(images))
        features = self._room(len(images)) if out is None else out
        for start in range(0, len(images), size):
            rows = slice(start, start + size)
            features[rows] = encode(_stack(images[rows]))
        return features

    def _captions_of(self, found: Hypotheses, row: int) -> list[Caption]:
        """Makes the captions of one image from arrays [B,N,...]; empty places are left out."""
        places = np.flatnonzero(np.isfinite(found.log_probs[row]))
        return [self._caption(found, row, int(place)) for place in places]

    def _caption(self, found: Hypotheses, row: int, place: int) -> Caption:
        num_tokens = int(found.lengths[row, place])
        token_ids = tuple(int(token) for token in found.token_ids[row, place, :num_tokens])
        log_prob = float(found.log_probs[row, place])
        return Caption(
            text=self.tokenizer.decode(token_ids),
            token_ids=token_ids,
            log_prob=log_prob,
            score=log_prob / num_tokens,
            num_tokens=num_tokens,
            finished=bool(found.finished[row, place]),
        )

    def _encoded_at_once(self, batch_size: int) -> int:
        return min(batch_size, self._encoder_batch or batch_size)

    def _encoder_of(self, size: int) -> Encode:
        """Returns the encoder for up to a number of images, made once."""

        def make() -> Encode:
            blank = np.zeros((1, *self.encoder.input_shape[1:]), np.uint8)
            return self._with_first_run(self._make_encoder(size), blank)

        encode: Encode = self._once(size, make)
        return encode

    def _decoder_graph(self, decode: DecodeConfig) -> Graph:
        """Returns the compiled decoder for decode settings, made once."""
        feature_shape = self.encoder.output_shape[1:]

        def make() -> Graph:
            graph = decoder_graph(self.decoder, feature_shape, decode, keep_all=self._on_gpu)
            shapes = (feature_shape, (decode.num_captions, decode.max_length_tokens))
            blanks = [np.zeros((_FIRST_RUN_IMAGES, *shape), np.float32) for shape in shapes]
            return self._with_first_run(graph, *blanks)

        graph: Graph = self._once(decode.replace(seed=0).to_json(), make)
        return graph

    def _with_first_run(self, graph: Graph, *example: np.ndarray[Any, Any]) -> Graph:
        """Starts a graph's first run, unless one core is all there is: no time is gained then."""
        return run_ahead(graph, *example) if self._cores > 1 else run_when_called(graph)

    def _once(self, key: int | str, make: Callable[[], Any]) -> Any:
        with self._compile_lock:
            if key not in self._compiled:
                self._compiled[key] = make()
            return self._compiled[key]


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}; expected at least 1")


def _stack(images: Sequence[PreparedImage]) -> np.ndarray[Any, Any]:
    return np.stack([image.pixels for image in images])


def _uniforms_of(images: Sequence[PreparedImage], decode: DecodeConfig) -> np.ndarray[Any, Any]:
    """Returns the numbers to sample with, float32 [B,N,T]; other methods get zeros."""
    uniforms = np.zeros((len(images), decode.num_captions, decode.max_length_tokens), np.float32)
    if decode.method == "sample":
        for row, image in enumerate(images):
            uniforms[row] = list(_uniforms(image.sha256, decode))
    return uniforms


def _uniforms(image_sha256: str, decode: DecodeConfig) -> Iterator[np.ndarray[Any, Any]]:
    """Random numbers in [0,1) for each caption of an image: of seed, image and caption only."""
    image_key = int(image_sha256[:16], 16)
    for caption in range(decode.num_captions):
        generator = np.random.default_rng([decode.seed, image_key, caption])
        yield generator.random(decode.max_length_tokens, np.float32)
