# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Captions for photos, step by step
#
# This notebook goes the way of Google's course "Create Image Captioning Models" with the parts of
# this library: look at the data, make words of captions, train, draw captions with an explicit
# GRU state, draw five captions for one photo, and see where the decoder looked.
#
# An **encoder**, trained before on ImageNet and frozen, turns a photo into a grid of features. A
# **decoder** reads the caption so far with a GRU, attends to the grid and scores every word that
# could come next. One word at a time gives a caption.
#
# It runs as it stands and needs no network: eight photos with captions that come with the
# repository, and the encoder of the shipped bundle. So few photos can only be learned by heart.
# With `DATA = "coco_captions"` the same cells train the course's
# own model. What that is, and how it differs from the course's notebook, is in
# [training](training.md).

# %%
import itertools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import logging
import shutil
import textwrap
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from model_lib.attention import attention_maps
from model_lib.bundle import default_bundle_path, load_bundle
from model_lib.config import DecodeConfig
from model_lib.decoder import build_decoder
from model_lib.preprocessing import Preprocessor
from model_lib.standardization import standardize
from model_lib.tokenizer import END_ID, PAD_ID, START_ID, UNKNOWN_ID
from train.batches import CaptionBatches, encode_captions
from train.building import make_encoder, make_tokenizer
from train.config import TrainConfig
from train.datasets import open_dataset
from train.features import cached_features
from train.presets import PRESETS
from train.trainer import CaptionTrainer, compile_trainer, make_optimizer

# %config InlineBackend.figure_formats = ["jpeg"]
plt.rcParams["figure.dpi"] = 66
logging.getLogger("absl").setLevel(logging.ERROR)
tfds.disable_progress_bar()

# %% [markdown]
# ## Settings
#
# `DATA` is empty for the eight photos; or a folder of your own, `images/` with `captions.tsv`
# (file name, tab, caption; several lines a photo); or `coco_captions`, which TensorFlow Datasets
# downloads (about 38 GB) unless `TFDS_DIR` holds it already.

# %%
DATA = os.environ.get("COURSE_DATA", "")
TFDS_DIR = os.environ.get("COURSE_TFDS_DIR", "~/tensorflow_datasets")

REPOSITORY = next(
    folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "examples/photos").is_dir()
)
WORK = Path(os.environ.get("COURSE_WORK", REPOSITORY / "build" / "course"))
shipped = load_bundle(default_bundle_path())

if DATA == "coco_captions":
    config = TrainConfig.from_dict(PRESETS["asl-coco"].settings)
else:
    config = TrainConfig(
        name="course-small",
        encoder=str(Path(default_bundle_path()) / "encoder.keras"),
        epochs=25,
        batch_size=2,
    )
keras.utils.set_random_seed(config.seed)
print(f"width {config.width}, {config.attention} attention, GRU starts from {config.initial_state}")

# %% [markdown]
# ## Look at the data
#
# Two of the eight photos are kept away from training: they are `dev`.


# %%
def folder_of_examples() -> Path:
    """Copies the repository's photos and captions into the layout that is read here."""
    folder = WORK / "photos"
    shutil.copytree(REPOSITORY / "examples/photos", folder / "images", dirs_exist_ok=True)
    table = Path(shutil.copy(REPOSITORY / "examples/captions.tsv", folder)).read_text()
    dev = ["coins.png", "rocket.jpg"]
    train = sorted({line.split("\t")[0] for line in table.splitlines()} - set(dev))
    (folder / "dev.txt").write_text("\n".join(dev))
    (folder / "train.txt").write_text("\n".join(train))
    return folder


is_coco = DATA == "coco_captions"
source = DATA or str(folder_of_examples())
data_dir = os.path.expanduser(TFDS_DIR) if is_coco else str(WORK / "tfds")
train_data, dev_data = (
    open_dataset(source, split, data_dir=data_dir) for split in ("train", "dev")
)
print(f"{len(train_data)} photos to train on, {len(dev_data)} for dev")

# %%
encoder, preprocess = make_encoder(config)
preprocessor = Preprocessor(preprocess)


def show(axes, pixels, text, width=30):
    """Shows a photo with a text above it."""
    axes.imshow(pixels)
    axes.set_title("\n".join(textwrap.wrap(text, width)), fontsize=13)
    axes.axis("off")


_, panels = plt.subplots(1, 4, figsize=(16, 4.6))
for panel, photo in zip(panels, train_data, strict=False):
    show(panel, preprocessor(photo.encoded).pixels, photo.captions[0])
plt.show()

# %% [markdown]
# The photos are square because the encoder wants them so. `Preprocessor` is the one way from
# encoded bytes to pixels, in training and in the batch job.
#
# ## From captions to numbers
#
# A rule makes words of a caption. The course's regular expression deletes punctuation, which
# joins `close-up` to `closeup`; ours keeps a hyphen or an apostrophe inside a word and lets other
# punctuation end it. The setting `standardize` chooses.

# %%
example = "A close-up of a cat's face, left/right!"
print("course:", standardize(example, "course"))
print("words: ", standardize(example, "words"))

# %% [markdown]
# The vocabulary is made of the commonest words. Four ids have a meaning of their own: padding,
# unknown, start and end. The decoder reads the caption from `<start>` on and shall predict it
# shifted by one, up to `<end>`.

# %%
tokenizer = make_tokenizer(config, train_data.captions)
print(f"{len(tokenizer)} words, the commonest:", *tokenizer.words[4:16])
ids = tokenizer.encode(train_data.captions[0][0], 16)
print("ids:   ", ids)
print("reads: ", *(tokenizer.words[word] for word in ids[:-1]))
print("target:", *(tokenizer.words[word] for word in ids[1:]))

# %% [markdown]
# ## Encoder and decoder
#
# The encoder's answer for a photo is a grid of feature vectors. The decoder's layers are the
# course's: Embedding, GRU, attention of the GRU's output over the projected features, Add,
# LayerNormalization, Dense.

# %%
pixels = preprocessor(next(iter(train_data)).encoded).pixels
print("photo", pixels.shape, "-> features", encoder(pixels[np.newaxis].astype("float32")).shape)

decoder = build_decoder(config.model_config(), len(tokenizer), encoder.output_shape[1:])
for layer in decoder.layers:
    print(f"{layer.name:12}{type(layer).__name__:20}{layer.count_params():>10,} parameters")

# %% [markdown]
# ## Train
#
# The encoder does not change, so its features are computed once and kept. The loss is the
# cross-entropy of the next word. Guessing among all words would give ln(vocabulary); a fresh
# decoder is a little above it.
#
# This is the short form. `train-captioner --preset asl-coco --data coco_captions --output RUN`
# does the same, with a checkpoint after each epoch, resuming, metrics and a bundle at the end.

# %%
features = cached_features(train_data, encoder, preprocess, config.views, str(WORK / "cache"))
captions = encode_captions(
    train_data.captions, tokenizer, config.captions_per_image, config.max_length_tokens
)
batches = CaptionBatches(
    features,
    captions,
    config.batch_size,
    seed=config.seed,
    padded_length=config.max_length_tokens if config.padding_loss else 0,
)
trainer = CaptionTrainer(decoder, padding_loss=config.padding_loss)
optimizer = make_optimizer(
    config.learning_rate,
    total_steps=config.epochs * len(batches),
    warmup_steps=config.warmup_steps,
    clip_norm=config.clip_norm,
    weight_decay=config.weight_decay,
    ema_momentum=config.ema_momentum,
    decay_to=config.decay_to,
)
compile_trainer(trainer, optimizer, config.label_smoothing)
history = trainer.fit(batches, epochs=config.epochs, verbose=0).history
first, last = history["loss"][0], history["loss"][-1]
print(f"ln(vocabulary) {np.log(len(tokenizer)):.2f}, first epoch {first:.2f}, last {last:.2f}")

# %%
_, panel = plt.subplots(figsize=(6, 3))
panel.plot(range(1, config.epochs + 1), history["loss"], marker=".")
panel.set(xlabel="epoch", ylabel="loss a word")
plt.show()

# %% [markdown]
# ## Draw a caption, one word at a time
#
# Training knows the whole caption; drawing knows only the words so far. `decoder.start` does once
# what a photo needs once. `decoder.step` takes the last word and the GRU's state and returns the
# scores of all next words and the new state, which goes into the next step. The loop ends when
# `<end>` is drawn. How the next word is chosen is a function of its own: here the best one.


# %%
def best(logits):
    """Chooses the word of the highest score."""
    return int(np.argmax(logits))


def caption(decoder, features, choose, most_words=30):
    """Draws one caption of one photo.

    Args:
        decoder: a trained decoder.
        features: of the photo, [1,P,C].
        choose: takes scores [V], returns a word's id.
        most_words: where to stop at the latest.

    Returns:
        The ids drawn, `<end>` included.
    """
    memory = decoder.start(features)
    state = memory.initial_state[:, np.newaxis]  # [1,1,D]: one photo, one caption
    word, drawn = START_ID, []
    while word != END_ID and len(drawn) < most_words:
        logits, state = decoder.step(np.array([[word]]), state, memory)
        scores = np.array(logits[0, 0])
        scores[[PAD_ID, UNKNOWN_ID, START_ID]] = -np.inf  # never words of a caption
        word = choose(scores)
        drawn.append(word)
    return drawn


def features_of(photo):
    """Encodes one photo: [1,P,C]."""
    pixels = preprocessor(photo.encoded).pixels
    return np.array(encoder(pixels[np.newaxis].astype("float32")))


def first_photos(data, count):
    """Returns the first photos of a data set."""
    return list(itertools.islice(data, count))


chosen = [("train", photo) for photo in first_photos(train_data, 2)]
chosen += [("dev", photo) for photo in first_photos(dev_data, 2)]
_, panels = plt.subplots(1, 4, figsize=(16, 4.6))
for panel, (split, photo) in zip(panels, chosen, strict=False):
    text = tokenizer.decode(caption(decoder, features_of(photo), best))
    show(panel, preprocessor(photo.encoded).pixels, f"({split}) {text}")
plt.show()

# %% [markdown]
# With six photos the decoder has learned their captions by heart. For the photos that it has not
# seen it puts together what it has learned from others: it cannot know better.
#
# ## Five captions for one photo
#
# The course chooses at random among the ten likeliest words, in proportion to their
# probabilities, so each run gives another caption.

# %%
random = np.random.default_rng(config.seed)


def one_of_ten(logits):
    """Draws among the ten best words, each with its share of their probability."""
    words = np.argsort(logits)[-10:]
    shares = np.exp(logits[words] - logits[words].max())
    return int(random.choice(words, p=shares / shares.sum()))


photo = first_photos(train_data, 6)[-1]
for _ in range(5):
    print(tokenizer.decode(caption(decoder, features_of(photo), one_of_ten)))

# %% [markdown]
# ## The same loop, more photos
#
# The bundle in this repository was trained on the 6,000 photos of Flickr8k, which show people and
# dogs out of doors. Its decoder has several attention heads and begins from a projection of the
# photo, but `start` and `step` are the same, and so is the loop.

# %%
pixels = shipped.preprocessor(photo.encoded).pixels
shipped_features = np.array(shipped.encoder(pixels[np.newaxis].astype("float32")))
for choose in [best, *[one_of_ten] * 5]:
    drawn = caption(shipped.decoder, shipped_features, choose)
    print(f"{choose.__name__:11}", shipped.tokenizer.decode(drawn))

# %% [markdown]
# In practice the library draws captions for many photos at a time, inside one compiled graph.
# The same method by settings:

# %%
course_way = DecodeConfig(method="sample", top_k=10, num_captions=5)
for number, found in enumerate(shipped.caption_bytes([photo.encoded], course_way)[0], 1):
    print(f"{number}. {found.text}  (score {found.score:.2f})")
[[found]] = shipped.caption_bytes([photo.encoded])
print(f"beam search: {found.text}  (score {found.score:.2f})")

# %% [markdown]
# Captions come best first. The score is the mean natural logarithm of the words' probabilities:
# nearer to 0 is surer.
#
# ## Where the decoder looked
#
# For each word the attention spreads a weight of 1 over the grid. Laid over the photo it shows
# where the decoder took the word's features from. Each field of the grid has seen much of the
# photo through the encoder, so a bright field is a hint and not an explanation.


# %%
def show_attention(photo, decoder, tokenizer, preprocessor, features):
    """Draws the best caption with one panel a word, the attention over the photo."""
    drawn = caption(decoder, features, best)
    [maps] = attention_maps(decoder, features, np.array([[START_ID, *drawn[:-1]]]))
    pixels = preprocessor(photo.encoded).pixels
    side, words = int(maps.shape[-1] ** 0.5), [tokenizer.words[word] for word in drawn]
    rows = -(-len(words) // 6)
    _, panels = plt.subplots(rows, 6, figsize=(15, 2.8 * rows), squeeze=False)
    for panel in panels.flat:
        panel.axis("off")
    for panel, word, weights in zip(panels.flat, words, maps, strict=False):
        heat = Image.fromarray(weights.reshape(side, side)).resize(pixels.shape[:2], Image.BICUBIC)
        show(panel, pixels, word)
        panel.imshow(np.array(heat), cmap="inferno", alpha=0.55)
    plt.show()


show_attention(photo, shipped.decoder, shipped.tokenizer, shipped.preprocessor, shipped_features)

# %% [markdown]
# ## Where to go from here
#
# - The course's model on COCO: set `DATA`, or give the command in [training](training.md).
# - Captions for a folder of photos: `caption-images --input PHOTOS --output CAPTIONS`.
# - Numbers: `evaluate-captioner`, see [metrics](metrics.md).
#
# The photos are from `examples/photos`; their authors and licences are in the README there.
# `flower.jpg` and `temple.jpg` are CC BY 2.0.
