"""How many captions each fast path changes, and by how much CIDEr: the guard beside the speeds.

    python -m benchmarks.equality --data ../shared/data/flickr8k

The plain path is Keras's own: `predict` of the encoder, and the decoder's `step` called eagerly. A
path that gives other captions is off by default, but for one: large JPEGs are decoded at a
fraction of their size. Its rows take the same photos written as larger files.
"""

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks import captioning
from benchmarks.results import Report, Row, make_report, publish
from benchmarks.settings import FLICKR8K, JPEG_QUALITY
from model_lib import decoding
from model_lib.bundle import default_bundle_path, load_bundle
from model_lib.captioner import Captioner
from model_lib.captioning_graphs import SPECIAL_IDS
from model_lib.config import DEFAULT_BATCH_SIZE, DecodeConfig
from model_lib.cores import share_cores
from model_lib.preprocessing import PreparedImage, place
from train.bootstrap import difference_intervals, resampled_metrics
from train.datasets import CaptionDataset, open_dataset
from train.metrics import measure_captions

LARGER = ((640, 480), (1600, 1200))
# Captions with their scores, in the order of the photos.
Found = list[tuple[str, float]]


class Settings(NamedTuple):
    """What is compared.

    Attributes:
        data: captioned photos, as `train.datasets.open_dataset` takes them; `dev` is used.
        bundle: folder of the bundle.
        data_dir: where TFDS keeps prepared data; None for its own place.
        limit: photos; None for all.
    """

    data: str
    bundle: str
    data_dir: str | None = None
    limit: int | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Compares, prints and writes; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", default=str(FLICKR8K.parent), help="(default: %(default)s)")
    parser.add_argument("--bundle", default=default_bundle_path(), help="(default: the shipped)")
    parser.add_argument("--data_dir", help="where TFDS keeps prepared data")
    parser.add_argument("--limit", type=int, help="photos (default: all of the split dev)")
    parser.add_argument("--json", default="", metavar="FILE", help="write the results there")
    arguments = parser.parse_args(argv)
    settings = Settings(arguments.data, arguments.bundle, arguments.data_dir, arguments.limit)
    publish(measure(settings, argv), arguments.json)
    return 0


def measure(settings: Settings, argv: Sequence[str] | None = None) -> Report:
    """Compares all paths."""
    photos = open_dataset(settings.data, "dev", data_dir=settings.data_dir, limit=settings.limit)
    share_cores(DEFAULT_BATCH_SIZE)
    captioner = load_bundle(settings.bundle)
    images = [captioner.preprocessor(encoded) for encoded in photos.photos()]
    own = captioner.info.decode
    rows, plain = [], Found()
    searches = (
        ("greedy", captioning.greedy(captioner)),
        ("beam_3", captioning.beam(captioner)),
        ("own", own),
    )
    for key, decode in searches:
        plain = plain_captions(captioner, images, decode)
        found = fast_captions(captioner, images, decode)
        words = f"{decode.method} {decode.beam_width}" if decode.method == "beam" else decode.method
        rows.append(compare(key, f"compiled, {words} / plain Keras", photos, found, plain, 0.0))
    other = load_bundle(settings.bundle, encoder_runtime="onnxruntime")
    found = fast_captions(other, images, own)
    rows.append(compare("onnx", "`--encoder_runtime onnxruntime`", photos, found, plain, 0.0))
    for precision in ("float16", "bfloat16"):
        other = load_bundle(settings.bundle, precision=precision)
        found = fast_captions(other, images, own)
        rows.append(compare(precision, f"`--precision {precision}`", photos, found, plain))
    for size in LARGER:
        rows.append(compare_sizes(captioner, photos, size))
    return make_report("equality", rows, {"photos": len(photos)}, argv=argv)


def plain_captions(
    captioner: Captioner, images: Sequence[PreparedImage], decode: DecodeConfig
) -> Found:
    """Returns the captions of the networks as Keras runs them; greedy or beam search."""
    found = Found()
    for start in range(0, len(images), DEFAULT_BATCH_SIZE):
        pixels = captioning.stack(images[start : start + DEFAULT_BATCH_SIZE]).astype(np.float32)
        features = captioner.encoder.predict(pixels, verbose=0)
        memory = captioner.decoder.start(tf.constant(features))

        def step(tokens: Any, state: Any, memory: Any = memory) -> Any:
            return captioner.decoder.step(tokens, state, memory)

        drawn = decoding.decode(step, memory.initial_state, decode, SPECIAL_IDS)
        ids, log_probs, lengths, _ = (part[:, 0].numpy() for part in drawn)
        found += [
            (captioner.tokenizer.decode(words[:length].tolist()), float(log_prob) / int(length))
            for words, log_prob, length in zip(ids, log_probs, lengths, strict=True)
        ]
    return found


def fast_captions(
    captioner: Captioner, images: Sequence[PreparedImage], decode: DecodeConfig
) -> Found:
    """Returns the captions that the job writes."""
    found = captioner.caption_prepared(images, decode)
    return [(captions[0].text, captions[0].score) for captions in found]


def compare_sizes(captioner: Captioner, photos: CaptionDataset, size: tuple[int, int]) -> Row:
    """Compares decoding as the job does it with decoding at full size, of larger files."""
    reduced, whole = [], []
    for encoded in enlarged(photos, size):
        reduced.append(captioner.preprocessor(encoded))
        whole.append(_prepared_whole(captioner, encoded))
    own = captioner.info.decode
    found, plain = (fast_captions(captioner, images, own) for images in (reduced, whole))
    what = f"JPEG files of {size[0]}x{size[1]}, decoded at a fraction / at full size"
    return compare(f"jpeg_{size[0]}", what, photos, found, plain)


def enlarged(photos: CaptionDataset, size: tuple[int, int]) -> Iterator[bytes]:
    """Writes photos as JPEG files of one size, upright ones turned."""
    for encoded in photos.photos():
        with Image.open(io.BytesIO(encoded)) as image:
            turned = size if image.width >= image.height else size[::-1]
            larger = image.convert("RGB").resize(turned, Image.Resampling.BICUBIC)
        written = io.BytesIO()
        larger.save(written, "JPEG", quality=JPEG_QUALITY)
        yield written.getvalue()


def _prepared_whole(captioner: Captioner, encoded: bytes) -> PreparedImage:
    """Prepares a photo without shortcuts: decoded at full size, one filter."""
    config = captioner.info.preprocess
    square = Image.new("RGB", (config.image_size, config.image_size))
    with Image.open(io.BytesIO(encoded)) as image:
        width, height = image.size
        where = place(width, height, config)
        resized = image.resize(where.size, Image.Resampling.BILINEAR, where.box)
    square.paste(resized, where.offset)
    return PreparedImage(np.asarray(square), width, height, "jpeg", "0" * 64)


def compare(
    key: str,
    what: str,
    photos: CaptionDataset,
    found: Found,
    plain: Found,
    target: float | None = None,
) -> Row:
    """Returns how many captions differ, and what that does to scores and CIDEr."""
    differ = [text != other for (text, _), (other, _) in zip(found, plain, strict=True)]
    scores = [abs(score - other) for (_, score), (_, other) in zip(found, plain, strict=True)]
    note = f"of {len(photos):,}; "
    if any(differ):
        note += f"CIDEr {_cider_difference(photos, found, plain)}"
    else:
        note += f"scores within {max(scores):.0e}"
    return Row(key, what, (float(sum(differ)),), "captions", target, at_most=True, note=note)


def _cider_difference(photos: CaptionDataset, found: Found, plain: Found) -> str:
    """Returns CIDEr's difference to the plain path in words: `+0.002 (-0.006 to +0.011)`."""
    references = dict(zip(photos.image_ids, photos.captions, strict=True))
    models = [
        dict(zip(photos.image_ids, (text for text, _ in captions), strict=True))
        for captions in (plain, found)
    ]
    first, second = measure_captions(references, models, java=False)
    drawn = resampled_metrics([first.statistics, second.statistics])
    interval = difference_intervals(drawn[1], drawn[0])["CIDEr"]
    difference = second.metrics["CIDEr"] - first.metrics["CIDEr"]
    return f"{difference:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


if __name__ == "__main__":
    sys.exit(main())
