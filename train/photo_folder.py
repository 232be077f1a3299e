"""A folder of captioned photos as a TFDS data set, prepared once into TFDS's own folder.

Takes a folder as `train.captions_table` reads it; returns a prepared TFDS builder whose
examples are named as those of `coco_captions`. Photos are stored byte for byte, in any format.
The prepared copy is keyed on the table and on the photos' names, sizes and times of change, so
that a changed folder is prepared anew; copies of earlier states may be deleted.
"""

import contextlib
import dataclasses
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from train.captions_table import PhotoFile, read_photo_folder, table_paths
from train.errors import DatasetError


@dataclasses.dataclass(kw_only=True)
class PhotoFolderConfig(tfds.core.BuilderConfig):
    """What to prepare.

    Attributes:
        photos: captioned photos by split.
    """

    photos: Mapping[str, Sequence[PhotoFile]] = dataclasses.field(default_factory=dict, repr=False)


class CaptionedPhotoFolder(tfds.core.GeneratorBasedBuilder):
    """TFDS builder `captioned_photo_folder`; its config carries the photos."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "Names of coco_captions."}

    def _info(self) -> tfds.core.DatasetInfo:
        """Declares the features; the order is kept as it is in the folder."""
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(),
                    "image/filename": tfds.features.Text(),
                    "captions": tfds.features.Sequence({"text": tfds.features.Text()}),
                }
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        """Names the splits; nothing is downloaded."""
        del dl_manager
        photos = self.builder_config.photos
        return {split: self._generate_examples(photos[split]) for split in photos}

    def _generate_examples(self, photos: Sequence[PhotoFile]) -> Iterator[tuple[int, Any]]:
        """Yields numbered examples; TFDS stores a file that it is given by path as it is."""
        for number, photo in enumerate(photos):
            captions = [{"text": text} for text in photo.captions]
            example = {"image": photo.path, "image/filename": photo.name, "captions": captions}
            yield number, example


def prepare_photo_folder(
    folder: str | Path, data_dir: str | None = None, dev_share: float = 0.1
) -> tfds.core.DatasetBuilder:
    """Prepares a folder of captioned photos, or finds what an earlier call prepared.

    Args:
        folder: photos and their table.
        data_dir: where TFDS keeps prepared data; by default `~/tensorflow_datasets`.
        dev_share: share of the photos that is `dev` where the folder does not say, 0..1.

    Returns:
        A builder, prepared, with the splits `train` and `dev`.

    Raises:
        DatasetError: where the folder contradicts its table or the copy cannot be written.
    """
    photos = read_photo_folder(folder, dev_share)
    empty = [split for split in photos if not photos[split]]
    if empty:
        raise DatasetError(
            f"{folder}: no photo is left for {' and '.join(empty)}; add photos or change the "
            "split files"
        )
    config = PhotoFolderConfig(name=_key(folder, photos), photos=photos)
    builder = CaptionedPhotoFolder(data_dir=data_dir, config=config)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except OSError as error:
        # Another training may have prepared the same photos meanwhile; its copy is as good.
        other = CaptionedPhotoFolder(data_dir=data_dir, config=config)
        if other.is_prepared():
            return other
        raise DatasetError(
            f"{folder} could not be prepared in {builder.data_dir}: {error}"
        ) from error
    return builder


def _key(folder: str | Path, photos: Mapping[str, Sequence[PhotoFile]]) -> str:
    """Returns a name for the folder's present state, such as `photos_0123456789abcdef`."""
    digest = hashlib.sha256()
    for path in table_paths(folder):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for split, files in photos.items():
        for photo in files:
            state = photo.path.stat()
            entry = (split, photo.name, state.st_size, state.st_mtime_ns)
            digest.update(repr(entry).encode())
    return f"photos_{digest.hexdigest()[:16]}"
