"""A captioner as one TensorFlow graph: encoded images or pixels in, captions as text out.

Takes a captioner; returns a `tf.Module` with a function for each signature. The graph holds
weights, vocabulary and decode settings as constants, runs no Python and needs no package of
ours. Its encoder and decoder are those that the captioner itself runs.

Legend: B images, S side of the square, N captions an image, T most tokens drawn.
"""

from typing import Any

import tensorflow as tf

from model_lib.captioner import Captioner
from model_lib.captioning_graphs import decoder_graph, encoder_graph
from model_lib.config import DecodeConfig
from model_lib.graph_preprocessing import GraphPreprocessor
from model_lib.hypotheses import Hypotheses
from model_lib.tokenizer import PAD_ID, SPECIAL_WORDS, Tokenizer

# Score of a caption that is not there: JSON has no infinity.
NO_SCORE = float(tf.float32.min)
Outputs = dict[str, Any]


def serving_module(captioner: Captioner, decode: DecodeConfig) -> tf.Module:
    """Builds the graph.

    Args:
        captioner: of any bundle.
        decode: how captions are drawn. With `sample` the random numbers are of the seed and the
            image's pixels, and not those that the captioner draws.

    Returns:
        A module with two functions that return the same outputs by name. `caption_bytes` takes
        `image_bytes`, string [B]; `caption_pixels` takes `pixels`, uint8 [B,S,S,3].

        - `caption`: string [B], the best caption
        - `score`: float32 [B], its log-probability divided by its tokens, 0 at most
        - `num_tokens`: int32 [B], tokens drawn, `<end>` included
        - `finished`: bool [B], false where the length limit cut the caption
        - `candidates`: string [B,N], best first, "" where there are fewer
        - `candidate_scores`: float32 [B,N]
        - `readable`: bool [B], of `caption_bytes` alone. Where it is false the captions are "",
          the scores `NO_SCORE`, and the other images are not affected
    """
    encode = encoder_graph(captioner.encoder, None)
    feature_shape = captioner.encoder.output_shape[1:]
    draw = decoder_graph(captioner.decoder, feature_shape, decode, keep_all=False)
    preprocess = GraphPreprocessor(captioner.info.preprocess)
    side = captioner.info.preprocess.image_size

    @tf.function(
        input_signature=[tf.TensorSpec([None, side, side, 3], tf.uint8, "pixels")], autograph=False
    )
    def caption_pixels(pixels: Any) -> Outputs:
        found = Hypotheses(*draw(encode(pixels)[0], _uniforms(pixels, decode)))
        return _outputs(found, captioner.tokenizer)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def caption_bytes(image_bytes: Any) -> Outputs:
        pixels, is_readable = preprocess(image_bytes)
        return _masked(caption_pixels(pixels), is_readable)

    module = tf.Module(name="captioner")
    module.caption_bytes = caption_bytes
    module.caption_pixels = caption_pixels
    return module


def _outputs(found: Hypotheses, tokenizer: Tokenizer) -> Outputs:
    is_there = found.log_probs > -float("inf")
    scores = found.log_probs / tf.cast(tf.maximum(found.lengths, 1), tf.float32)
    scores = tf.where(is_there, scores, NO_SCORE)
    # A place without a caption may hold the number of a word that does not exist.
    token_ids = tf.where(is_there[..., tf.newaxis], found.token_ids, PAD_ID)
    texts = _texts(token_ids, tokenizer)
    return {
        "caption": texts[:, 0],
        "score": scores[:, 0],
        "num_tokens": found.lengths[:, 0],
        "finished": found.finished[:, 0],
        "candidates": texts,
        "candidate_scores": scores,
    }


def _texts(token_ids: Any, tokenizer: Tokenizer) -> Any:
    """`Tokenizer.decode` of drawn ids int32 [B,N,T], which have padding after `<end>`."""
    special = len(SPECIAL_WORDS)
    parts = [""] * special + [f" {word}" for word in tokenizer.words[special:]]
    joined = tf.strings.reduce_join(tf.gather(tf.constant(parts), token_ids), axis=-1)
    return tf.strings.strip(joined)


def _masked(outputs: Outputs, is_readable: Any) -> Outputs:
    """Empties the rows of images that could not be read."""
    nothing: Outputs = {
        "caption": "",
        "score": NO_SCORE,
        "num_tokens": 0,
        "finished": False,
        "candidates": "",
        "candidate_scores": NO_SCORE,
    }
    masked = {}
    for name, values in outputs.items():
        rows = is_readable if values.shape.rank == 1 else is_readable[:, tf.newaxis]
        masked[name] = tf.where(rows, values, nothing[name])
    return {**masked, "readable": is_readable}


def _uniforms(pixels: Any, decode: DecodeConfig) -> Any:
    """Numbers to sample with, float32 [B,N,T]; other methods get zeros."""
    shape = [decode.num_captions, decode.max_length_tokens]
    if decode.method != "sample":
        return tf.zeros([tf.shape(pixels)[0], *shape])
    values = tf.cast(tf.reshape(pixels, [-1, pixels.shape[1:].num_elements()]), tf.int64)
    places = tf.range(values.shape[1], dtype=tf.int64)
    keys = tf.reduce_sum(values * (places * 2654435761 % 2**31), axis=-1)

    def of_image(key: Any) -> Any:
        # Named, so that every device draws the same.
        seed = tf.stack([tf.constant(decode.seed % 2**63, tf.int64), key])
        return tf.random.stateless_uniform(shape, seed, alg="philox")

    return tf.map_fn(of_image, keys, fn_output_signature=tf.float32)
