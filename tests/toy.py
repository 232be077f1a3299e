"""A real, tiny bundle for tests: a few words, 32 x 32 pixels, made in a second.

Encoder and recurrent weights are random; the last layer is fitted by least squares to say one
sentence of red, one of green and one of blue pictures, and mixtures of them in between.
"""

import keras
import numpy as np

from model_lib.bundle import save_bundle
from model_lib.config import DecodeConfig, ModelConfig, PreprocessConfig
from model_lib.decoder import CaptionDecoder, build_decoder
from model_lib.encoder import load_encoder
from model_lib.tokenizer import Tokenizer

TOY_CAPTIONS = [  # of red, green and blue pictures
    "two girls in red dresses play with a ball",
    "a black dog runs on the green grass",
    "a man rides his bike down the street",
]
TOY_SIZE = 32
_SURENESS = 7.0  # logit of the right word above the others


def make_toy_encoder(path: str) -> str:
    """Writes a small convolutional encoder as a `.keras` file: [B,32,32,3] -> [B,4,4,8]."""
    keras.utils.set_random_seed(8)
    image = keras.Input((TOY_SIZE, TOY_SIZE, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, -1.0, name="pixels")(image)
    x = keras.layers.Conv2D(8, 8, strides=8, activation="relu", name="patches")(x)
    keras.Model(image, x, name="toy").save(path)
    return path


def toy_pixels(count: int, seed: int = 0) -> np.ndarray:
    """Makes blotchy pictures of random tints: uint8 [count,32,32,3]."""
    random = np.random.default_rng(seed)
    tints = random.uniform(0, 255, (count, 1, 1, 3))
    blotches = random.uniform(-60, 60, (count, 4, 4, 3)).repeat(8, axis=1).repeat(8, axis=2)
    return (tints + blotches).clip(0, 255).astype(np.uint8)


def make_toy_bundle(path: str, **model_settings: object) -> str:
    """Saves a working captioner into the folder `path` and returns it.

    `model_settings` are fields of `ModelConfig`. With `tie_embeddings` there is no layer to
    fit, and captions are word salad.
    """
    encoder = load_encoder(make_toy_encoder(str(path) + "-encoder.keras"))
    settings = {"width": 32, "num_heads": 2, "initial_state": "image", **model_settings}
    model = ModelConfig.from_dict({"encoder": "toy", "pixel_scaling": "file", **settings})
    tokenizer = Tokenizer.from_captions(TOY_CAPTIONS)
    keras.utils.set_random_seed(5)
    decoder = build_decoder(model, len(tokenizer), encoder.output_shape[1:])
    _make_states_telling(decoder)
    if decoder.logits is not None:
        _fit_last_layer(decoder, encoder, tokenizer)
    save_bundle(
        str(path),
        name="toy",
        encoder=encoder,
        decoder=decoder,
        tokenizer=tokenizer,
        model=model,
        preprocess=PreprocessConfig(image_size=TOY_SIZE),
        decode=DecodeConfig(max_length_tokens=12),
        model_card="# toy\n\nAlmost random weights, for tests.\n",
    )
    return str(path)


def _make_states_telling(decoder: CaptionDecoder) -> None:
    """Makes fresh weights, which say nearly the same of every word, larger."""
    scales = {"embedding/embeddings": 30.0, "gru_cell/kernel": 2.0, "start_state/kernel": 3.0}
    for weight in decoder.weights:
        for name, scale in scales.items():
            if weight.path.endswith(name):
                weight.assign(weight * scale)


def _fit_last_layer(
    decoder: CaptionDecoder, encoder: keras.Model, tokenizer: Tokenizer, count: int = 192
) -> None:
    """Solves for the last layer: states of a caption of the picture's tint -> its next words."""
    pixels = toy_pixels(count, seed=1)
    tint = pixels.mean(axis=(1, 2)).argmax(axis=-1)
    ids = tokenizer.encode_batch(TOY_CAPTIONS, 12)[tint]
    features = encoder(pixels.astype(np.float32))
    states = np.asarray(decoder.read_captions((features, ids[:, np.newaxis, :-1])))[:, 0]
    real = ids[:, 1:] != 0
    inputs = np.pad(states[real], ((0, 0), (0, 1)), constant_values=1.0)
    targets = _SURENESS * np.eye(len(tokenizer))[ids[:, 1:][real]]
    # The ridge keeps weights small enough for 16 bits.
    ridge = 0.1 * np.eye(inputs.shape[1])
    solution = np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets)
    decoder.logits.set_weights([solution[:-1], solution[-1]])
