"""Tar shards for tests: written by WebDataset itself, or member by member."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def webdataset_shard(path: Path, samples: Iterable[dict[str, Any]]) -> str:
    """Writes samples (`__key__`, and bytes or text by extension) as WebDataset does."""
    import webdataset

    with webdataset.TarWriter(str(path)) as writer:
        for sample in samples:
            writer.write(sample)
    return str(path)


def tar(path: Path, members: Iterable[tuple[str, bytes]], **options: Any) -> str:
    with tarfile.open(path, "w", **options) as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return str(path)
