"""`metadata.jsonl`: the captions as Hugging Face's ImageFolder reads them beside the photos.

One line an image, `{"file_name": ..., "text": ...}`, where `file_name` is relative to the folder
that holds both the file and the photos: `load_dataset("imagefolder", data_dir=FOLDER)`.
"""

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence

from beam_jobs import records, storage
from beam_jobs.report.tables import read_batches


@dataclasses.dataclass(frozen=True)
class MetadataFile:
    """What was written.

    Attributes:
        path: the file.
        folder: where `file_name` starts from.
        rows: images in it.
        left_out: captions of images that do not lie below that folder.
    """

    path: str
    folder: str
    rows: int
    left_out: int


def write_metadata(output: str, address: str, inputs: Sequence[str]) -> MetadataFile:
    """Writes the file from the published captions.

    Args:
        output: the job's output folder.
        address: the file to write.
        inputs: the command line's inputs: where there is one folder among them, and the file
            goes into the output, names start from that folder.

    Raises:
        OSError: where it cannot be written.
    """
    folder = _photo_folder(output, address, inputs)
    prefix = _absolute(folder).rstrip("/") + "/"
    rows = left_out = 0
    partial = f"{address}.partial"
    with storage.open_write(partial) as stream:
        for uri, caption in _captions(output):
            path = _absolute(uri)
            if not path.startswith(prefix):
                left_out += 1
                continue
            line = {"file_name": path[len(prefix) :], "text": caption}
            stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            rows += 1
    storage.replace(partial, address)
    return MetadataFile(address, folder, rows, left_out)


def _captions(output: str) -> Iterator[tuple[str, str]]:
    for batch in read_batches(output, records.CAPTIONS, ("uri", "caption")):
        columns = (batch.column(name).to_pylist() for name in ("uri", "caption"))
        yield from zip(*columns, strict=True)


def _photo_folder(output: str, address: str, inputs: Sequence[str]) -> str:
    folder = address.rsplit("/", 1)[0] if "/" in address else "."
    if _absolute(folder) != _absolute(output):
        return folder
    folders = [where for where in inputs if storage.is_local_folder(storage.plain_path(where))]
    return folders[0] if len(folders) == 1 else folder


def _absolute(address: str) -> str:
    path = storage.plain_path(address)
    return path if "://" in path else os.path.abspath(path)
