"""How far an exported SavedModel's captions and pixels are from the captioner's, on photos.

    python -m benchmarks.exported BUNDLE SAVEDMODEL PHOTOS [--names FILE]

Captions each photo with the bundle's captioner, with the SavedModel from the encoded bytes, and
with the SavedModel from the captioner's own pixels; prints how many captions and pixels differ.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from model_lib.bundle import load_bundle
from model_lib.config import DecodeConfig
from model_lib.graph_preprocessing import GraphPreprocessor

BATCH_SIZE = 64


def main() -> None:
    """Compares and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("savedmodel", help="exported from this bundle with its own decoding")
    parser.add_argument("photos", type=Path, help="folder")
    parser.add_argument("--names", type=Path, help="file with one name a line (default: all)")
    arguments = parser.parse_args()
    names = arguments.names.read_text().split() if arguments.names else None
    paths = [arguments.photos / name for name in names or sorted(listed(arguments.photos))]
    for line in compare(arguments.bundle, arguments.savedmodel, paths):
        print(line)


def listed(folder: Path) -> Iterator[str]:
    """Gives the names of the photos in a folder."""
    suffixes = (".jpg", ".jpeg", ".png", ".gif", ".bmp")
    return (path.name for path in folder.iterdir() if path.suffix.lower() in suffixes)


def compare(bundle: str, savedmodel: str, paths: list[Path]) -> list[str]:
    """Returns what differs, in words.

    Args:
        bundle: folder of the bundle.
        savedmodel: folder of its export.
        paths: photos that both read.
    """
    captioner = load_bundle(bundle)
    signatures = tf.saved_model.load(savedmodel).signatures
    prepare = tf.function(
        GraphPreprocessor(captioner.info.preprocess).__call__,
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    decode: DecodeConfig = captioner.info.decode
    of_bytes, of_pixels, gaps = [], [], []
    for start in range(0, len(paths), BATCH_SIZE):
        data = [path.read_bytes() for path in paths[start : start + BATCH_SIZE]]
        prepared = [captioner.preprocessor(one) for one in data]
        pixels = np.stack([image.pixels for image in prepared])
        best = [captions[0] for captions in captioner.caption_prepared(prepared, decode)]
        expected = [(caption.text, caption.score) for caption in best]
        of_bytes += pairs(signatures["serving_default"](image_bytes=tf.constant(data)), expected)
        of_pixels += pairs(signatures["pixels"](pixels=tf.constant(pixels)), expected)
        gaps.append(np.abs(prepare(tf.constant(data))[0].numpy().astype(int) - pixels))
    gap = np.concatenate(gaps)
    return [
        f"{len(paths)} photos",
        f"pixels: {np.mean(gap > 0):.4%} of the values differ, by {gap.max()} at most",
        f"from encoded bytes: {said(of_bytes)}",
        f"from the captioner's pixels: {said(of_pixels)}",
    ]


def pairs(outputs: Any, expected: list[tuple[str, float]]) -> list[tuple[bool, float]]:
    """Returns for each photo whether the captions differ, and how far the scores are apart."""
    texts = [text.decode() for text in outputs["caption"].numpy()]
    scores = outputs["score"].numpy()
    return [
        (text != other, abs(float(score) - right))
        for text, score, (other, right) in zip(texts, scores, expected, strict=True)
    ]


def said(found: list[tuple[bool, float]]) -> str:
    """Returns differences in words."""
    differ = sum(is_other for is_other, _ in found)
    return f"{differ} captions differ; scores by {max(gap for _, gap in found):.1e} at most"


if __name__ == "__main__":
    main()
