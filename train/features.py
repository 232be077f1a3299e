"""Features of a frozen encoder, computed once and kept on disk.

Takes a data set's photos; returns a memory-mapped array float16 [N,W,P,C] (N photos, W views
of each, P positions, C channels), so that memory stays bounded however many photos there are.
The cache is a folder named by its key: encoder, preprocessing, photos and views. Another
encoder or a changed photo has another key, so a stale cache is never read. An interrupted
computation goes on where it stopped.
"""

import collections
import contextlib
import fcntl
import hashlib
import itertools
import json
import logging
import os
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from model_lib.compiled import freeze
from model_lib.config import PreprocessConfig
from model_lib.errors import ImageError
from model_lib.preprocessing import Preprocessor
from train.augmentation import VIEWS_VERSION, photo_views
from train.datasets import CaptionDataset
from train.durable_files import replace_text
from train.errors import DatasetError

_PHOTOS_PER_SAVE = 512
_PHOTOS_AHEAD = 32
_ARRAY_FILE = "features.npy"
_KEY_FILE = "key.json"
_PROGRESS_FILE = "photos_done.txt"
_logger = logging.getLogger(__name__)


def encoder_fingerprint(encoder: keras.Model) -> str:
    """Returns hex sha256 over an encoder's layers and weights."""
    digest = hashlib.sha256(json.dumps(encoder.get_config(), sort_keys=True, default=str).encode())
    for weight in encoder.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def cached_features(
    dataset: CaptionDataset,
    encoder: keras.Model,
    preprocess: PreprocessConfig,
    num_views: int,
    cache_dir: str,
    batch_size: int = 32,
) -> np.ndarray[Any, Any]:
    """Returns the features of all photos, from the cache or computed into it.

    Args:
        dataset: the photos, in a fixed order.
        encoder: images [B,S,S,3] (0..255) -> features [B,P,C].
        preprocess: as in the bundle to be.
        num_views: views a photo, see `train.augmentation`; 1 is the photo alone.
        cache_dir: folder of all caches; may be shared by any number of trainings.
        batch_size: images in one run of the encoder.

    Returns:
        Read-only memory map float16 [N,num_views,P,C], in the data set's order.

    Raises:
        DatasetError: for a photo that cannot be read; names it.
    """
    key = {
        "encoder": encoder_fingerprint(encoder),
        "preprocess": preprocess.to_dict(),
        "photos": dataset.fingerprint(),
        "num_views": num_views,
        "views_version": VIEWS_VERSION,
    }
    text = json.dumps(key, sort_keys=True)
    folder = Path(cache_dir) / hashlib.sha256(text.encode()).hexdigest()[:16]
    shape = (len(dataset.image_ids), num_views, *encoder.output_shape[1:])
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        if not _is_whole(folder, shape):
            _report_stale(Path(cache_dir), key)
            _compute(dataset, encoder, Preprocessor(preprocess), folder, shape, batch_size)
            replace_text(folder / _KEY_FILE, text)  # written last: without it a cache is incomplete
    features: np.ndarray[Any, Any] = np.load(folder / _ARRAY_FILE, mmap_mode="r")
    return features


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time compute a cache; the lock ends with the process."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_whole(folder: Path, shape: tuple[int, ...]) -> bool:
    """Tells whether a cache is complete; one that was damaged later will begin anew."""
    if not (folder / _KEY_FILE).exists():
        return False
    try:
        found: object = np.load(folder / _ARRAY_FILE, mmap_mode="r").shape
    except (OSError, ValueError) as error:
        found = error
    if found == shape:
        return True
    _logger.warning("feature cache %s is damaged (%s): computed again", folder, found)
    for name in (_KEY_FILE, _PROGRESS_FILE):
        (folder / name).unlink(missing_ok=True)
    return False


def _report_stale(cache_dir: Path, key: dict[str, Any]) -> None:
    """Logs which caches do not fit and why, so that a surprise recomputation is explained."""
    for path in sorted(cache_dir.glob("*/key.json")):
        old = json.loads(path.read_text())
        changed = [name for name, value in key.items() if old.get(name) != value]
        _logger.info("feature cache %s not used: other %s", path.parent, ", ".join(changed))


def _compute(
    dataset: CaptionDataset,
    encoder: keras.Model,
    preprocessor: Preprocessor,
    folder: Path,
    shape: tuple[int, ...],
    batch_size: int,
) -> None:
    """Fills `features.npy` photo by photo; `photos_done.txt` says how far it is durable."""
    path, done_path = folder / _ARRAY_FILE, folder / _PROGRESS_FILE
    done = int(done_path.read_text()) if done_path.exists() and path.exists() else 0
    mode = "r+" if done else "w+"
    array = np.lib.format.open_memmap(path, mode, np.float16, shape)
    size = encoder.input_shape[1]
    run = freeze(
        lambda pixels: encoder(tf.cast(pixels, tf.float32), training=False),
        [tf.TensorSpec([batch_size, size, size, 3], tf.uint8)],
    )
    views = array.reshape(-1, *shape[2:])
    row = done * shape[1]
    with tqdm(
        total=len(views), initial=row, unit="view", desc="features", mininterval=1
    ) as progress:
        for pixels in _view_batches(dataset, preprocessor, done, shape[1], batch_size):
            count = len(pixels)
            padded = np.zeros((batch_size, size, size, 3), np.uint8)
            padded[:count] = pixels
            views[row : row + count] = run(padded)[0].numpy()[:count]
            row += count
            progress.update(count)
            if row // shape[1] - done >= _PHOTOS_PER_SAVE:
                array.flush()
                done = row // shape[1]
                replace_text(done_path, str(done))
    array.flush()


def _view_batches(
    dataset: CaptionDataset, preprocessor: Preprocessor, skip: int, num_views: int, batch_size: int
) -> Iterator[np.ndarray[Any, Any]]:
    """Yields all views but those of the first photos as uint8 [<=batch_size,S,S,3], in order."""
    views = (view for photo in _prepared(dataset, preprocessor, skip, num_views) for view in photo)
    while batch := list(itertools.islice(views, batch_size)):
        yield np.stack(batch)


def _prepared(
    dataset: CaptionDataset, preprocessor: Preprocessor, skip: int, num_views: int
) -> Iterator[np.ndarray[Any, Any]]:
    """Decodes in threads, some photos ahead of the encoder; yields uint8 [W,S,S,3] in order."""
    photos = zip(dataset.image_ids, dataset.photos(), strict=True)
    pending: collections.deque[tuple[str, futures.Future[Any]]] = collections.deque()
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for image_id, data in itertools.islice(photos, skip, None):
            pending.append((image_id, pool.submit(photo_views, preprocessor, data, num_views)))
            if len(pending) == _PHOTOS_AHEAD:
                yield _result(*pending.popleft())
        while pending:
            yield _result(*pending.popleft())


def _result(image_id: str, photo: futures.Future[Any]) -> np.ndarray[Any, Any]:
    try:
        views: np.ndarray[Any, Any] = photo.result()
    except ImageError as error:
        reason = f"{image_id}: {type(error).__name__}: {error}"
        raise DatasetError(f"{reason}; replace the photo or take it out") from error
    return views
