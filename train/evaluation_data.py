"""The references of an evaluation and all captions that are scored against them.

Takes a data set, or a file of references where finished runs are scored; returns the references,
the candidates and a way to the photos.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.candidates import Candidate, saved_candidate
from train.durable_files import sha256_of
from train.errors import EvaluationError
from train.predictions import read_captions
from train.references import match_images, read_references

_logger = logging.getLogger(__name__)

ReadPhotos = Callable[[Sequence[str]], dict[str, bytes]]


@dataclasses.dataclass(frozen=True)
class EvaluationData:
    """What is scored.

    Attributes:
        references: human captions by image.
        candidates: with a caption of each of these images.
        about: what the results say of the data.
        read_photos: gives the bytes of some images, of those that can be read.
    """

    references: Mapping[str, Sequence[str]]
    candidates: Sequence[Candidate]
    about: Mapping[str, Any]
    read_photos: ReadPhotos


def match_runs(path: str, sources: Mapping[str, str], limit: int | None = None) -> EvaluationData:
    """Reads references and saved captions, and keeps the images that all of them have.

    Args:
        path: file of references, see `train.references`.
        sources: path of saved captions by label.
        limit: only so many images, the first in the file of references.

    Returns:
        The data; images are named as the references name them. `about` counts what was not
        matched under `matching`.

    Raises:
        EvaluationError: where a file is wrong, a match is ambiguous, or no image is in all.
    """
    references = read_references(path)
    captions = {label: read_captions(source) for label, source in sources.items()}
    partners = {
        label: match_images(found, references, sources[label]) for label, found in captions.items()
    }
    common = [name for name in references if all(name in found for found in partners.values())]
    if not common:
        raise EvaluationError(_nothing_matches(path, references, sources, captions))
    scored = common[:limit]
    matching = {
        "reference_images": len(references),
        "scored_images": len(scored),
        "reference_images_without_caption": len(references) - len(common),
        "captions_without_references": {
            label: len(found) - len(partners[label]) for label, found in captions.items()
        },
    }
    _report(matching)
    return EvaluationData(
        {name: references[name] for name in scored},
        [
            saved_candidate(
                label,
                {name: captions[label][partners[label][name]] for name in scored},
                sources[label],
            )
            for label in sources
        ],
        {
            "data": None,
            "split": None,
            "references": path,
            "data_fingerprint": sha256_of(Path(path)),
            "matching": matching,
        },
        lambda names: _read_local({name: _uris(partners, name) for name in names}),
    )


def _nothing_matches(
    path: str,
    references: Mapping[str, Any],
    sources: Mapping[str, str],
    captions: Mapping[str, Mapping[str, str]],
) -> str:
    named = ", ".join(
        f"{sources[label]} ({len(found)}, such as {next(iter(found), 'none')})"
        for label, found in captions.items()
    )
    return (
        f"no image of the references {path} ({len(references)}, such as "
        f"{next(iter(references))}) has a caption in {named}; name images by the same URIs or "
        "file names"
    )


def _report(matching: Mapping[str, Any]) -> None:
    bare = matching["reference_images_without_caption"]
    if bare:
        _logger.warning(
            "%d of %d images with references have no caption and are not scored",
            bare,
            matching["reference_images"],
        )
    for label, count in matching["captions_without_references"].items():
        if count:
            _logger.warning("%s: %d captions have no references and are not scored", label, count)


def _uris(partners: Mapping[str, Mapping[str, str]], name: str) -> list[str]:
    return [name, *(found[name] for found in partners.values())]


def _read_local(places: Mapping[str, Sequence[str]]) -> dict[str, bytes]:
    """Reads the photos that are on this machine."""
    found = {}
    for name, uris in places.items():
        paths = (Path(uri.removeprefix("file://")) for uri in uris)
        path = next((path for path in paths if path.is_file()), None)
        if path:
            found[name] = path.read_bytes()
    return found
