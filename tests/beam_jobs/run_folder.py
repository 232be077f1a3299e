"""Output folders as the job leaves them, for the tests of what reads them."""

import datetime
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from beam_jobs.records import CAPTIONS, FAILURES, Row, Table

NOON = datetime.datetime(2025, 11, 23, 12, tzinfo=datetime.timezone.utc)


def photo(number: int, size: tuple[int, int] = (400, 300)) -> bytes:
    """Returns a JPEG with a smooth picture that is different for each number."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [(columns + 40 * number) % 256, (rows + 90 * number) % 256, (rows + columns) % 256]
    encoded = io.BytesIO()
    Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8)).save(encoded, "JPEG")
    return encoded.getvalue()


def caption_row(uri: str, data: bytes = b"", **changes: Any) -> Row:
    """Returns a row of the captions table, with some columns changed."""
    row: Row = {
        "uri": uri,
        "image_sha256": hashlib.sha256(data).hexdigest() if data else "",
        "caption": "a dog runs",
        "score": -0.5,
        "candidates": [{"caption": "a dog runs", "log_prob": -2.0, "score": -0.5}],
        "confidence": None,
        "num_tokens": 4,
        "finished": True,
        "sentence": None,
        "low_confidence": None,
        "width": 400,
        "height": 300,
        "format": "jpeg",
        "size_bytes": len(data),
        "model_name": "toy",
        "model_fingerprint": "f" * 64,
        "decode_config": "{}",
        "run_id": "run-1",
        "captioned_at": NOON,
    }
    return {**row, **changes}


def failure_row(uri: str, error_type: str = "TruncatedImageError", **changes: Any) -> Row:
    """Returns a row of the failures table, with some columns changed."""
    row: Row = {
        "uri": uri,
        "stage": "decode",
        "error_type": error_type,
        "error_message": "ends early",
        "attempts": 1,
        "transient": False,
        "run_id": "run-1",
        "failed_at": NOON,
    }
    return {**row, **changes}


def write_tables(
    output: Path, captions: Sequence[Row], failures: Sequence[Row] = (), num_files: int = 2
) -> str:
    """Writes the tables' files into a folder and returns its path; no file for no rows."""
    _write(output, CAPTIONS, captions, num_files)
    _write(output, FAILURES, failures, num_files)
    return str(output)


def _write(output: Path, table: Table, rows: Sequence[Row], num_files: int) -> None:
    folder = output / table.name
    for number in range(num_files):
        part = list(rows[number::num_files])
        if part:
            folder.mkdir(parents=True, exist_ok=True)
            content = pa.Table.from_pylist(part, schema=table.arrow_schema())
            pq.write_table(content, folder / f"part-{number}.parquet", compression="zstd")
