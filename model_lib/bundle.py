"""Bundles: one folder that holds a trained captioner whole.

`save_bundle` writes it from the parts, `load_bundle` makes a `Captioner` of it. Loading runs no
code of the bundle: JSON, text, HDF5 weights, and a Keras model of built-in layers read with
`safe_mode=True`, each file checked against its sha256 first.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from model_lib.bundle_info import (
    DECODER_FILE,
    ENCODER_FILE,
    HASHED_FILES,
    INFO_FILE,
    MODEL_CARD_FILE,
    VOCABULARY_FILE,
    BundleInfo,
    info_from_bytes,
    info_to_bytes,
)
from model_lib.config import (
    DecodeConfig,
    EncoderRuntime,
    ModelConfig,
    Precision,
    PreprocessConfig,
)
from model_lib.errors import BundleError, CaptioningError
from model_lib.onednn import prefer_onednn
from model_lib.tokenizer import Tokenizer

if TYPE_CHECKING:
    import keras

    from model_lib.captioner import Captioner
    from model_lib.decoder import CaptionDecoder

OpenFile = Callable[[str], BinaryIO]
DEFAULT_BUNDLE = "flickr8k-small"


def default_bundle_path() -> str:
    """Returns the folder of the bundle that is shipped with the package."""
    return str(Path(__file__).parent / "bundles" / DEFAULT_BUNDLE)


def read_bundle_info(path: str, open_file: OpenFile | None = None) -> BundleInfo:
    """Reads what a bundle says of itself, without its weights and without TensorFlow.

    Args:
        path: folder of the bundle, local or on any file system that `open_file` reads.
        open_file: opens an address for reading bytes, for example Beam's `FileSystems.open`;
            by default local files, and `tf.io.gfile` for addresses with a scheme.

    Returns:
        Name, fingerprint, settings, provenance and metrics.

    Raises:
        BundleError: where there is no bundle, or `bundle.json` is damaged.
    """
    return info_from_bytes(_read(path, INFO_FILE, open_file or _open_any), _join(path, INFO_FILE))


def read_model_card(path: str, open_file: OpenFile | None = None) -> str:
    """Reads what people are told of a bundle: data, licence of the data, numbers, limits.

    Args:
        path: folder of the bundle, local or on any file system that `open_file` reads.
        open_file: as for `read_bundle_info`.

    Returns:
        Markdown text.

    Raises:
        BundleError: where it cannot be read or is damaged.
    """
    info = read_bundle_info(path, open_file)
    data = _read(path, MODEL_CARD_FILE, open_file or _open_any)
    _check_hash(data, info.file_sha256[MODEL_CARD_FILE], _join(path, MODEL_CARD_FILE))
    return data.decode()


def load_bundle(
    path: str,
    open_file: OpenFile | None = None,
    precision: Precision = "float32",
    encoder_runtime: EncoderRuntime = "tensorflow",
) -> "Captioner":
    """Loads a captioner; imports TensorFlow, with oneDNN (see `model_lib.onednn`).

    Args:
        path: folder of the bundle, local or on any file system that `open_file` reads.
        open_file: as for `read_bundle_info`.
        precision: of the encoder's arithmetic. 16 bits are for GPUs, bfloat16 for CPUs with AMX or
            AVX-512's bfloat16 as well; they may change captions.
        encoder_runtime: what runs the encoder; `onnxruntime` is faster on CPUs.

    Returns:
        The captioner, its weights in memory as float32.

    Raises:
        ConfigError: for an unknown precision or runtime, or a runtime that is not installed.
        BundleError: naming the file that is missing, damaged or does not fit the others.
    """
    prefer_onednn()
    from model_lib.captioner import Captioner
    from model_lib.decoder import build_decoder
    from model_lib.encoder import load_encoder

    info = read_bundle_info(path, open_file)
    files = {name: _read(path, name, open_file or _open_any) for name in HASHED_FILES}
    for name, data in files.items():
        _check_hash(data, info.file_sha256[name], _join(path, name))
    with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
        with _naming(path, ENCODER_FILE):
            encoder = load_encoder(_write(folder, ENCODER_FILE, files[ENCODER_FILE]))
            _check_size(encoder, info.preprocess)
        with _naming(path, VOCABULARY_FILE):
            text = files[VOCABULARY_FILE].decode()
            tokenizer = Tokenizer.from_text(text, info.model.standardize)
        with _naming(path, DECODER_FILE):
            decoder = build_decoder(info.model, len(tokenizer), encoder.output_shape[1:])
            decoder.load_weights(_write(folder, DECODER_FILE, files[DECODER_FILE]))
    return Captioner(info, encoder, decoder, tokenizer, precision, encoder_runtime)


def save_bundle(
    path: str,
    *,
    name: str,
    encoder: "keras.Model",
    decoder: "CaptionDecoder",
    tokenizer: Tokenizer,
    model: ModelConfig,
    preprocess: PreprocessConfig,
    decode: DecodeConfig,
    model_card: str,
    provenance: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    float16: bool = True,
) -> BundleInfo:
    """Writes a bundle into a local folder; `bundle.json` last, so that a torn one is no bundle.

    Args:
        path: folder, made where it is missing; a bundle in it is replaced.
        name: short name of the model.
        encoder: functional model of built-in layers, images (0..255) -> features [B,P,C].
        decoder: built for this encoder and vocabulary.
        tokenizer: the vocabulary.
        model: settings that the decoder was built with.
        preprocess: settings; its image size is the encoder's.
        decode: how captions are drawn unless the caller says otherwise.
        model_card: Markdown text: data, licence, numbers, limits.
        provenance: where the weights come from, plain JSON values.
        metrics: results of the evaluation, plain JSON values.
        float16: stores weights in 16 bits: half the size, almost always the same captions.

    Returns:
        What was written.

    Raises:
        BundleError: for parts that do not fit each other, or a folder that is not local.
    """
    from model_lib.weight_files import decoder_to_bytes, encoder_to_bytes

    folder = _local_folder(path)
    with _naming(path, ENCODER_FILE):
        _check_size(encoder, preprocess)
    _check_vocabulary(decoder, tokenizer, path)
    files = {
        ENCODER_FILE: encoder_to_bytes(encoder, float16),
        DECODER_FILE: decoder_to_bytes(decoder, float16),
        VOCABULARY_FILE: tokenizer.to_text().encode(),
        MODEL_CARD_FILE: model_card.encode(),
    }
    info = BundleInfo(
        name=name,
        model=model,
        preprocess=preprocess,
        decode=decode,
        file_sha256={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        provenance=provenance or {},
        metrics=metrics or {},
    )
    _write_folder(folder, files, info)
    return info


def annotate_bundle(
    path: str,
    *,
    metrics: Mapping[str, Any],
    decode: DecodeConfig,
    model_card: str,
    score_temperature: float | None = None,
) -> BundleInfo:
    """Puts metrics, decode defaults and a model card into a local bundle; weights stay.

    Args:
        path: folder of the bundle.
        metrics: results of the evaluation, plain JSON values.
        decode: how captions are drawn unless the caller says otherwise.
        model_card: Markdown text.
        score_temperature: of `BundleInfo`; None takes an earlier one away.

    Returns:
        The new info; its fingerprint is the old one.

    Raises:
        BundleError: where there is no bundle, or the folder is not local.
    """
    folder = _local_folder(path)
    info = read_bundle_info(path)
    card = model_card.encode()
    hashes = {**info.file_sha256, MODEL_CARD_FILE: hashlib.sha256(card).hexdigest()}
    info = dataclasses.replace(
        info,
        metrics=dict(metrics),
        decode=decode,
        file_sha256=hashes,
        score_temperature=score_temperature,
    )
    (folder / MODEL_CARD_FILE).write_bytes(card)
    (folder / INFO_FILE).write_bytes(info_to_bytes(info))
    return info


def _local_folder(path: str) -> Path:
    if "://" in path:
        raise BundleError(f"{path}: bundles are written locally; save to a folder, then copy it")
    return Path(path)


@contextlib.contextmanager
def _naming(path: str, name: str) -> Iterator[None]:
    """Turns errors into a `BundleError` that names the file."""
    try:
        yield
    except (CaptioningError, ValueError, OSError, KeyError) as error:
        raise BundleError(
            f"{_join(path, name)}: does not fit the rest of the bundle: {error}; save it again"
        ) from error


def _check_size(encoder: "keras.Model", preprocess: PreprocessConfig) -> None:
    side = encoder.input_shape[1]
    if side != preprocess.image_size:
        raise ValueError(f"takes {side} pixels a side, preprocessing makes {preprocess.image_size}")


def _check_vocabulary(decoder: "CaptionDecoder", tokenizer: Tokenizer, path: str) -> None:
    if decoder.vocabulary_size != len(tokenizer):
        raise BundleError(
            f"{path}: the decoder knows {decoder.vocabulary_size} words, the vocabulary has "
            f"{len(tokenizer)}; build the decoder for this vocabulary"
        )


def _write_folder(folder: Path, files: Mapping[str, bytes], info: BundleInfo) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INFO_FILE).unlink(missing_ok=True)
    for file_name, data in files.items():
        (folder / file_name).write_bytes(data)
    (folder / INFO_FILE).write_bytes(info_to_bytes(info))


def _open_any(address: str) -> BinaryIO:
    if "://" not in address:
        return open(address, "rb")
    import tensorflow as tf

    with tf.io.gfile.GFile(address, "rb") as stream:
        return io.BytesIO(stream.read())


def _join(path: str, name: str) -> str:
    return path.rstrip("/") + "/" + name


def _read(path: str, name: str, open_file: OpenFile) -> bytes:
    address = _join(path, name)
    try:
        with open_file(address) as stream:
            return stream.read()
    # File systems raise errors of their own (TensorFlow's, Beam's, a cloud client's).
    except Exception as error:
        raise BundleError(
            f"{address}: cannot be read ({error}); a bundle is a folder with {INFO_FILE} and "
            f"{', '.join(HASHED_FILES)}"
        ) from error


def _check_hash(data: bytes, expected: str, address: str) -> None:
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected:
        raise BundleError(
            f"{address}: sha256 is {actual}, {INFO_FILE} says {expected}: the file is damaged or "
            "of another bundle; copy the bundle again"
        )


def _write(folder: str, name: str, data: bytes) -> str:
    path = os.path.join(folder, name)
    Path(path).write_bytes(data)
    return path
