"""The loop of Google's course "Create Image Captioning Models", with our weights.

As in its notebook: one image at a time, Keras called eagerly, one call of the decoder a word, the
next word drawn among the ten likeliest by `tf.random.categorical`, words looked up through a
`StringLookup` layer whose whole vocabulary is fetched for every word. `keeps_vocabulary` fetches
it once, as anyone would who measured the loop. In the peer's favour: keys and values of the
attention are computed once an image, and the caption ends at our length limit.
"""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from model_lib.captioner import Captioner

TOP_WORDS = 10


class CourseLoop:
    """Captions one image file at a time."""

    def __init__(self, captioner: Captioner, *, keeps_vocabulary: bool = False) -> None:
        """Takes the weights of a captioner."""
        self._encoder = captioner.encoder
        self._decoder = captioner.decoder
        self._side = captioner.info.preprocess.image_size
        self._max_length_tokens = captioner.info.decode.max_length_tokens
        words = list(captioner.tokenizer.words)
        self._lookup = keras.layers.StringLookup(
            vocabulary=words, num_oov_indices=0, mask_token=None
        )
        self._kept = words if keeps_vocabulary else None

    def caption(self, path: Path) -> str:
        """Returns the caption of one JPEG file."""
        image = tf.image.decode_jpeg(tf.io.read_file(str(path)), channels=3)
        image = tf.image.resize(image, (self._side, self._side))
        features = self._encoder(tf.expand_dims(image, axis=0), training=False)
        memory = self._decoder.start(features)
        state = tf.expand_dims(memory.initial_state, 1)
        token = tf.expand_dims([self._lookup("<start>")], 1)
        words: list[str] = []
        for _ in range(self._max_length_tokens):
            logits, state = self._decoder.step(token, state, memory)
            predicted = _draw(logits[0][0])
            words.append(self._vocabulary()[predicted])
            if predicted == self._lookup("<end>"):
                break
            token = tf.expand_dims([predicted], 1)
        return " ".join(words)

    def _vocabulary(self) -> list[str]:
        return self._kept if self._kept is not None else self._lookup.get_vocabulary()


def _draw(logits: Any) -> int:
    """Draws a word among the ten likeliest."""
    top_logits, top_ids = tf.math.top_k(logits, k=TOP_WORDS, sorted=False)
    chosen = tf.random.categorical([top_logits], 1)[0].numpy()
    return int(top_ids.numpy()[chosen][0])
