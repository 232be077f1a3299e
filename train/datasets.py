"""Captioned photos in one form, wherever they come from.

Takes `coco_captions` or a folder of captioned photos, a split (`train` or `dev`) and the folder
of TFDS's prepared data; returns a `CaptionDataset`: ids and captions in memory, encoded photos
streamed in the same order.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import requests
import tensorflow as tf
import tensorflow_datasets as tfds

from train.errors import DatasetError
from train.input_options import make_input_options
from train.photo_folder import prepare_photo_folder

SplitName = Literal["train", "dev"]

COCO = "coco_captions"
_COCO_SPLITS = {"train": "train", "dev": "val"}
_COCO_URL = "http://images.cocodataset.org/annotations/annotations_trainval2014.zip"
_PROBE_SECS = 20.0
_FEATURES = {"image": True, "image/filename": True, "captions": {"text": True}}


@dataclasses.dataclass(frozen=True)
class CaptionedPhoto:
    """One photo of a data set.

    Attributes:
        image_id: its file name, unique in the data set.
        captions: at least one.
        encoded: the file's bytes.
    """

    image_id: str
    captions: tuple[str, ...]
    encoded: bytes


class CaptionDataset:
    """A split of a prepared TFDS data set, always in the same order.

    Attributes:
        image_ids: file names of the photos.
        captions: captions of each photo, in the order of `image_ids`.
    """

    image_ids: list[str]
    captions: list[tuple[str, ...]]

    def __init__(
        self,
        builder: tfds.core.DatasetBuilder,
        split: str,
        *,
        first_caption_only: bool = False,
        limit: int | None = None,
    ) -> None:
        """Reads the whole split once: its texts are kept, its photos hashed.

        Args:
            builder: prepared, with the features `image`, `image/filename` and `captions/text`.
            split: TFDS's name of the split.
            first_caption_only: leave out all captions of a photo but the first.
            limit: leave out all photos but the first ones.

        Raises:
            DatasetError: where the split is not there, empty or damaged.
        """
        if split not in builder.info.splits:
            raise DatasetError(f"{builder.data_dir} has no split {split!r}; prepare it anew")
        self._builder = builder
        self._split = split
        self._limit = limit
        self._first_caption_only = first_caption_only
        self.image_ids, self.captions = [], []
        digest = hashlib.sha256()
        for photo in self:
            self.image_ids.append(photo.image_id)
            self.captions.append(photo.captions)
            for part in (photo.image_id.encode(), photo.encoded):
                digest.update(hashlib.sha256(part).digest())
        if not self.image_ids:
            raise DatasetError(f"{builder.data_dir}: split {split!r} has no captioned photos")
        self._fingerprint = digest.hexdigest()

    def __len__(self) -> int:
        """Returns the number of photos."""
        return len(self.image_ids)

    def __iter__(self) -> Iterator[CaptionedPhoto]:
        """Streams the photos with their captions; one at a time is in memory."""
        captioned = (photo for photo in self._read() if photo.captions)
        return itertools.islice(captioned, self._limit)

    def photos(self) -> Iterator[bytes]:
        """Streams the encoded photos in the order of `image_ids`."""
        return (photo.encoded for photo in self)

    def fingerprint(self) -> str:
        """Returns hex sha256 over ids and photos in their order; captions are not in it."""
        return self._fingerprint

    def _read(self) -> Iterator[CaptionedPhoto]:
        examples = self._builder.as_dataset(
            split=self._split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding(
                _FEATURES, decoders={"image": tfds.decode.SkipDecoding()}
            ),
            # One file after the other keeps the order; no copy of the data stays in memory.
            read_config=tfds.ReadConfig(
                options=make_input_options(), interleave_cycle_length=1, try_autocache=False
            ),
        )
        num_captions = 1 if self._first_caption_only else None
        try:
            for example in examples.as_numpy_iterator():
                texts = [text.decode() for text in example["captions"]["text"][:num_captions]]
                yield CaptionedPhoto(
                    example["image/filename"].decode(), tuple(texts), example["image"]
                )
        except tf.errors.OpError as error:
            raise DatasetError(
                f"{self._builder.data_dir}: the prepared data cannot be read ({error.message}); "
                "delete this folder and prepare it again"
            ) from error


def open_dataset(
    data: str,
    split: SplitName,
    *,
    data_dir: str | None = None,
    first_caption_only: bool = False,
    limit: int | None = None,
    dev_share: float = 0.1,
) -> CaptionDataset:
    """Opens captioned photos, preparing them first where needed.

    Args:
        data: `coco_captions`, or a folder as `train.captions_table` describes it.
        split: `train` or `dev`; COCO's `dev` is the `val` of Karpathy and Li (2015).
        data_dir: where TFDS keeps prepared data; by default `~/tensorflow_datasets`.
        first_caption_only: leave out all captions of a photo but the first.
        limit: leave out all photos but the first ones.
        dev_share: share of a folder's photos that is `dev` where the folder does not say, 0..1.

    Returns:
        The split.

    Raises:
        DatasetError: where the data is missing, contradicts itself or cannot be prepared.
    """
    if split not in _COCO_SPLITS:
        raise DatasetError(f"no split {split!r}; there are {' and '.join(_COCO_SPLITS)}")
    if data == COCO:
        builder, split_name = _prepare_coco(data_dir), _COCO_SPLITS[split]
    else:
        builder, split_name = prepare_photo_folder(data, data_dir, dev_share), split
    return CaptionDataset(builder, split_name, first_caption_only=first_caption_only, limit=limit)


def _prepare_coco(data_dir: str | None) -> tfds.core.DatasetBuilder:
    """Finds COCO prepared in `data_dir`, or downloads it (about 38 GB) and prepares it."""
    builder = tfds.builder(COCO, data_dir=data_dir)
    if builder.is_prepared():
        return builder
    try:
        # TFDS tries for minutes where there is no network; one request says so at once.
        if not (Path(builder.data_path).parents[2] / "downloads").exists():
            requests.head(_COCO_URL, timeout=_PROBE_SECS, allow_redirects=True).raise_for_status()
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    # TFDS and what it downloads with raise errors of many kinds; all mean the same here.
    except Exception as error:
        # Another training may have prepared it meanwhile; its copy is as good.
        other = tfds.builder(COCO, data_dir=data_dir)
        if other.is_prepared():
            return other
        raise DatasetError(
            f"{COCO} is not prepared in {builder.data_dir} and could not be downloaded "
            f"({type(error).__name__}: {error}); give the --data_dir that holds it, or run "
            f"`tfds build {COCO}` where there is a network"
        ) from error
    return builder
