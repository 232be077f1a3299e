"""Beam's stock way: `RunInference` with `TFModelHandlerTensor`, then a decoding loop in a `DoFn`.

What Beam's examples lead to: the encoder as a saved Keras file with the handler's default
batching, decoded pixels as float tensors between the steps, a greedy loop in Python for each
image, `WriteToParquet`. Same photos, same weights, same runner as the job.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
from apache_beam.io import fileio
from apache_beam.ml.inference.base import KeyedModelHandler, PredictionResult, RunInference
from apache_beam.ml.inference.tensorflow_inference import TFModelHandlerTensor
from apache_beam.options.pipeline_options import PipelineOptions

from model_lib.bundle import load_bundle
from model_lib.tokenizer import END_ID, START_ID

SCHEMA = pa.schema([("uri", pa.string()), ("caption", pa.string())])


class DecodeGreedily(beam.DoFn):
    """Features of one image -> its row, one eager step of the decoder a word."""

    def __init__(self, bundle: str) -> None:
        """Keeps where the decoder is."""
        self._bundle = bundle
        self._captioner: Any = None

    def setup(self) -> None:
        """Loads the decoder."""
        self._captioner = load_bundle(self._bundle)

    def process(self, element: tuple[str, PredictionResult]) -> Iterator[dict[str, str]]:
        """Decodes one caption."""
        uri, result = element
        decoder = self._captioner.decoder
        memory = decoder.start(tf.expand_dims(result.inference, 0))
        state = tf.expand_dims(memory.initial_state, 1)
        token = tf.constant([[START_ID]])
        ids: list[int] = []
        for _ in range(self._captioner.info.decode.max_length_tokens):
            logits, state = decoder.step(token, state, memory)
            word = int(tf.argmax(logits[0, 0]))
            ids.append(word)
            if word == END_ID:
                break
            token = tf.constant([[word]])
        yield {"uri": uri, "caption": self._captioner.tokenizer.decode(ids)}


def save_encoder(bundle: str, work: Path) -> str:
    """Writes a bundle's encoder as a Keras file; returns its path."""
    path = work / "encoder.keras"
    load_bundle(bundle).encoder.save(path)
    return str(path)


def run_stock_pipeline(bundle: str, encoder: str, photos: Path, output: Path) -> None:
    """Captions a folder of photos into a Parquet file.

    Args:
        bundle: folder with the decoder and the vocabulary.
        encoder: of `save_encoder`.
        photos: folder of JPEG files of the encoder's size.
        output: folder for the Parquet file.
    """
    handler = KeyedModelHandler(TFModelHandlerTensor(encoder))
    options = PipelineOptions(["--runner", "FnApiRunner"])
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | fileio.MatchFiles(str(photos / "*.jpg"))
            | beam.Reshuffle()
            | fileio.ReadMatches()
            | "Decode" >> beam.Map(_decode)
            | "Encode" >> RunInference(handler)
            | "Caption" >> beam.ParDo(DecodeGreedily(bundle))
            | beam.io.WriteToParquet(str(output / "captions"), SCHEMA)
        )


def _decode(file: Any) -> tuple[str, Any]:
    image = tf.io.decode_image(file.read(), channels=3, expand_animations=False)
    return file.metadata.path, tf.cast(image, tf.float32)
