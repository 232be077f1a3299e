"""Weights as bytes: small (16-bit floats) and the same bytes for the same weights.

Keras's own files hold 32-bit floats, the time of saving and memory addresses. These are
rewritten: Keras casts 16-bit floats back when it loads them, and equal layers and weights give
equal files, so that a bundle's fingerprint depends on nothing else. Settings that only newer
Keras releases know are left out where they are neutral, so that older ones load the encoder too.
"""

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_FLOAT16_MAX = float(np.finfo(np.float16).max)
# Keras 3.12, the newest for Python 3.10, refuses these; the values are Keras 3.15's defaults.
_NEWER_SETTINGS = {
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "input_axes": None,
    "output_axes": None,
}


def encoder_to_bytes(encoder: keras.Model, float16: bool) -> bytes:
    """Returns a `.keras` file's content.

    Args:
        encoder: functional model of built-in layers.
        float16: whether 32-bit weights are stored in 16 bits.
    """
    with tempfile.TemporaryDirectory(prefix="encoder-") as folder:
        path = Path(folder) / "encoder.keras"
        encoder.save(path)
        out = io.BytesIO()
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
            for name in sorted(source.namelist()):
                data = source.read(name)
                if name.endswith(".h5"):
                    data = _rewrite_h5(data, float16)
                elif name == "config.json":
                    data = _portable_config(data)
                elif name == "metadata.json":
                    data = _without_date(data)
                target.writestr(zipfile.ZipInfo(name, _ZIP_TIME), data)
    return out.getvalue()


def decoder_to_bytes(decoder: keras.Model, float16: bool) -> bytes:
    """Returns a `.weights.h5` file's content; arguments as for `encoder_to_bytes`.

    The state of an optimizer that the model was compiled with is left out.
    """
    with tempfile.TemporaryDirectory(prefix="decoder-") as folder:
        path = Path(folder) / "decoder.weights.h5"
        decoder.save_weights(path)
        return _rewrite_h5(path.read_bytes(), float16)


def _without_date(data: bytes) -> bytes:
    metadata = json.loads(data)
    metadata.pop("date_saved", None)
    return json.dumps(metadata, sort_keys=True).encode()


def _portable_config(data: bytes) -> bytes:
    """Rewrites a model's `config.json`: no neutral `_NEWER_SETTINGS`, no memory addresses.

    Keras marks objects that layers share by their addresses: here they are numbered 0, 1, ...
    and dtype policies, which are mere values, are not marked at all.
    """
    ids: dict[int, int] = {}

    def rewrite(node: dict[str, Any]) -> dict[str, Any]:
        kept = {
            key: value
            for key, value in node.items()
            if key not in _NEWER_SETTINGS or value != _NEWER_SETTINGS[key]
        }
        address = kept.pop("shared_object_id", None)
        if address is not None and kept["class_name"] != "DTypePolicy":
            kept["shared_object_id"] = ids.setdefault(address, len(ids))
        return kept

    return json.dumps(json.loads(data, object_hook=rewrite)).encode()


def _rewrite_h5(data: bytes, float16: bool) -> bytes:
    """Copies an HDF5 file in a fixed order, without times, 32-bit floats as 16-bit ones.

    A weight with a value beyond the range of 16 bits (65504) keeps its 32.
    """
    out = io.BytesIO()
    with h5py.File(io.BytesIO(data), "r") as source, h5py.File(out, "w") as target:
        _copy_group(source, target, float16)
    return out.getvalue()


def _copy_group(source: h5py.Group, target: h5py.Group, float16: bool) -> None:
    for key in sorted(source.attrs):
        target.attrs[key] = source.attrs[key]
    for name in sorted(set(source) - {"optimizer"}):
        item = source[name]
        if isinstance(item, h5py.Group):
            _copy_group(item, target.create_group(name), float16)
            continue
        values = item[()]
        if float16 and values.dtype == np.float32 and np.all(np.abs(values) <= _FLOAT16_MAX):
            values = values.astype(np.float16)
        copied = target.create_dataset(name, data=values, track_times=False)
        for key in sorted(item.attrs):
            copied.attrs[key] = item.attrs[key]
