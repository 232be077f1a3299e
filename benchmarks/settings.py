"""The flags that all programs share, and the photos they are measured on."""

import argparse
import dataclasses
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from model_lib.bundle import default_bundle_path
from model_lib.config import DEFAULT_BATCH_SIZE

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples" / "photos"
FLICKR8K = ROOT.parent / "shared" / "data" / "flickr8k" / "images"
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
JPEG_QUALITY = 90


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a benchmark is run with.

    Attributes:
        photos: folder of photos.
        images: how many are used, repeated where there are fewer; whole batches.
        rounds: that count, after the warm-up.
        bundle: folder of the bundle.
        batch_size: of the captioner.
        json: file for the results; empty for none.
    """

    photos: str
    images: int
    rounds: int
    bundle: str
    batch_size: int = DEFAULT_BATCH_SIZE
    json: str = ""

    def shown(self) -> dict[str, object]:
        """Returns what a table should name."""
        return {
            "photos": Path(self.photos).name,
            "images": self.images,
            "rounds": self.rounds,
            "bundle": Path(self.bundle).name,
            "batch_size": self.batch_size,
        }


def make_parser(description: str | None, *, images: int, rounds: int) -> argparse.ArgumentParser:
    """Returns a parser with the shared flags.

    Args:
        description: a module's docstring, of which the first line is shown.
        images: default of --images.
        rounds: default of --rounds.
    """
    first_line = (description or "").strip().partition("\n")[0]
    parser = argparse.ArgumentParser(description=first_line)
    photos = FLICKR8K if FLICKR8K.is_dir() else EXAMPLES
    default = "(default: %(default)s)"
    parser.add_argument("--photos", default=os.path.relpath(photos), help=f"folder {default}")
    parser.add_argument(
        "--images", type=int, default=images, help=f"repeated where there are fewer {default}"
    )
    parser.add_argument(
        "--rounds", type=int, default=rounds, help=f"that count, after one that does not {default}"
    )
    parser.add_argument("--bundle", default=default_bundle_path(), help="(default: the shipped)")
    parser.add_argument("--batch_size", type=int, default=DEFAULT_BATCH_SIZE, help=default)
    parser.add_argument("--json", default="", metavar="FILE", help="write the results there")
    return parser


def settings_from(arguments: argparse.Namespace) -> Settings:
    """Returns the shared settings; the images are rounded down to whole batches, two at least.

    Raises:
        SystemExit: for a count below 1.
    """
    size = arguments.batch_size
    if min(size, arguments.images, arguments.rounds) < 1:
        raise SystemExit("--images, --rounds and --batch_size are at least 1")
    return Settings(
        photos=arguments.photos,
        images=max(arguments.images // size, 2) * size,
        rounds=arguments.rounds,
        bundle=arguments.bundle,
        batch_size=size,
        json=arguments.json,
    )


def photo_paths(folder: str | Path) -> list[Path]:
    """Returns the photos of a folder, by name.

    Raises:
        SystemExit: where there are none.
    """
    source = Path(folder)
    if not source.is_dir():
        raise SystemExit(f"--photos {source}: is no folder")
    paths = sorted(p for p in source.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES)
    if not paths:
        raise SystemExit(f"--photos {source}: no photos ({', '.join(PHOTO_SUFFIXES)}) in it")
    return paths


def link_photos(source: str | Path, target: Path, count: int) -> Path:
    """Links `count` photos into a new folder, under new names where they repeat."""
    target.mkdir(parents=True)
    for number, path in _cycle(source, count):
        link = target / f"{number:06d}{path.suffix.lower()}"
        try:
            os.link(path.resolve(), link)
        except OSError:  # another file system
            link.symlink_to(path.resolve())
    return target


def write_jpegs(source: str | Path, target: Path, count: int, width: int, height: int) -> Path:
    """Writes `count` photos as JPEG files of one size into a new folder."""
    target.mkdir(parents=True)
    for number, path in _cycle(source, count):
        with Image.open(path) as image:
            resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        resized.save(target / f"{number:06d}.jpg", quality=JPEG_QUALITY)
    return target


def _cycle(source: str | Path, count: int) -> Iterator[tuple[int, Path]]:
    return zip(range(count), itertools.cycle(photo_paths(source)))
