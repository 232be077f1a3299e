"""What a captioner looked at: the attention's weights over a photo for each word of a caption.

Takes a decoder or a whole captioner; gives weights over the positions of the encoder's feature
map. The drawn caption is read again as a whole (teacher forcing), which gives the same logits as
drawing it word by word.

Weights are what the attention's softmax gives. Contributions are weights times the length of what
is read there (Kobayashi et al. 2020): positions that hold little often get weight all the same, so
contributions are what people should be shown. Neither says why a word was chosen: each position of
the feature map has seen much of the photo, and a word also follows from those before it.

Legend: B images, L tokens of a caption, P positions of the feature map, C its channels, W words,
h and w rows and columns of the feature map, V vocabulary size.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model_lib import next_words
from model_lib.caption import Caption
from model_lib.captioner import Captioner
from model_lib.captioning_graphs import SPECIAL_IDS
from model_lib.confidence import confidence_of
from model_lib.config import DecodeConfig
from model_lib.decoder import CaptionDecoder
from model_lib.errors import EncoderError
from model_lib.preprocessing import PreparedImage
from model_lib.tokenizer import END_ID, START_ID

Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """A caption, word by word.

    Attributes:
        caption: the best caption of the photo.
        confidence: of the caption (`model_lib.confidence`), 0..1; None without a temperature.
        words: its W words, `<end>` left out.
        log_probs: natural log-probability of each word after those before it, float32 [W].
        weights: share of the attention that each part of the feature map got as the word was
            drawn, float32 [W,h,w], each word's sum 1; row 0 is the top of the model's input,
            column 0 its left.
        contributions: share of what the attention gave that came from each part, as `weights`.
        image: the model's input (`image.pixels`, square) and the size of the original;
            `model_lib.preprocessing.place` tells which part of the original the input shows.
    """

    caption: Caption
    confidence: float | None
    words: tuple[str, ...]
    log_probs: Floats
    weights: Floats
    contributions: Floats
    image: PreparedImage


def attention_maps(decoder: CaptionDecoder, features: Any, token_ids: Any) -> Floats:
    """Returns the attention's weights as captions are read.

    Args:
        decoder: built for these features.
        features: of the encoder, float [B,P,C].
        token_ids: one caption an image, int [B,L], `<start>` first, as `Tokenizer.encode` gives
            them; what follows `<end>` gets weights without a meaning.

    Returns:
        Weights float32 [B,L,P] that sum to 1 over P: [:,l] are those with which the word after
        token l is drawn. Of several heads the mean. Positions are rows of the feature map, one
        after another: `maps.reshape(B, L, h, w)`.
    """
    return _of_one_caption(decoder.attention_weights, features, token_ids)


def attention_contributions(decoder: CaptionDecoder, features: Any, token_ids: Any) -> Floats:
    """Returns where what the attention gives comes from; as `attention_maps`.

    Returns:
        Shares float32 [B,L,P] that sum to 1 over P, or are all 0 where nothing was read.
    """
    return _of_one_caption(decoder.attention_contributions, features, token_ids)


def explain(captioner: Captioner, data: bytes, decode: DecodeConfig | None = None) -> Explanation:
    """Captions one photo and tells what was looked at for each word.

    Args:
        captioner: of `model_lib.bundle.load_bundle`.
        data: the photo's encoded bytes.
        decode: how captions are drawn; by default as the bundle says. The best one is explained.

    Returns:
        Caption, words and weights.

    Raises:
        ImageError: where the photo cannot be read.
        EncoderError: where the encoder's positions are no square feature map.
    """
    decode = decode or captioner.info.decode
    image = captioner.preprocessor(data)
    features = captioner.encode_prepared([image], batch_size=1)
    side = _side_of_map(features.shape[1])
    [[caption, *_]] = captioner.caption_prepared([image], decode, batch_size=1)
    read = np.array([[START_ID, *caption.token_ids[:-1]]], np.int32)
    maps = attention_maps(captioner.decoder, features, read)[0]
    shares = attention_contributions(captioner.decoder, features, read)[0]
    log_probs = _log_probs(captioner.decoder, features, read, caption, decode)
    ids = [token for token in caption.token_ids if token != END_ID]
    temperature = captioner.info.score_temperature
    return Explanation(
        caption=caption,
        confidence=None if temperature is None else confidence_of(caption.score, temperature),
        words=tuple(captioner.tokenizer.words[token] for token in ids),
        log_probs=log_probs[: len(ids)],
        weights=maps[: len(ids)].reshape(-1, side, side),
        contributions=shares[: len(ids)].reshape(-1, side, side),
        image=image,
    )


def _of_one_caption(values: Callable[[Any], Any], features: Any, token_ids: Any) -> Floats:
    ids = np.asarray(token_ids, np.int32)[:, np.newaxis]
    return np.asarray(values((features, ids)), np.float32)[:, 0]


def _side_of_map(positions: int) -> int:
    side = math.isqrt(positions)
    if side * side != positions:
        raise EncoderError(
            f"the encoder's feature map has {positions} positions, which is no square: the weights "
            "cannot be laid over the photo; attention_maps gives them position by position"
        )
    return side


def _log_probs(
    decoder: CaptionDecoder, features: Any, read: Any, caption: Caption, decode: DecodeConfig
) -> Floats:
    """Returns the log-probability of each token, float32 [L], over the words that may follow."""
    logits = decoder((features, read[:, np.newaxis]))[0, 0]
    offsets = [
        next_words.offsets(logits.shape[-1], position, decode, SPECIAL_IDS)
        for position in range(caption.num_tokens)
    ]
    logits += tf.stack(offsets)
    if decode.no_repeat_ngram_size:
        drawn = tf.constant(caption.token_ids, tf.int32)[tf.newaxis]
        logits = tf.concat(
            [
                next_words.without_repeats(row, drawn, position, decode.no_repeat_ngram_size)
                for position, row in enumerate(tf.split(logits, caption.num_tokens))
            ],
            axis=0,
        )
    allowed = tf.nn.log_softmax(logits)
    return np.asarray(tf.gather(allowed, caption.token_ids, batch_dims=1), np.float32)
