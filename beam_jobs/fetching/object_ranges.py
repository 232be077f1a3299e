"""Bytes of objects in `gs://` and `s3://`, with one request each and no hidden retries.

Beam's file systems ask for an object's metadata before its bytes, fetch 16 MiB for whatever is
read, and try again for up to ten minutes without being asked. A reader of millions of images that
counts its attempts wants none of that. The clients are made and kept by `object_stores`.
"""

import contextlib
import errno
from collections.abc import Callable

from beam_jobs import object_stores

_OUT_OF_RANGE = 416


def is_object(address: str) -> bool:
    """Tells whether `read_range` can read it."""
    return address.startswith(object_stores.SCHEMES)


def read_range(address: str, first: int, num_bytes: int, timeout_secs: float) -> bytes:
    """Reads a part of an object.

    Args:
        address: `gs://bucket/object` or `s3://bucket/object`.
        first: where to begin.
        num_bytes: how many bytes, 1 or more; fewer come where the object ends before.
        timeout_secs: longest wait for Google's next bytes; Amazon's client has its own limit.

    Raises:
        OSError: with the client's error as its cause.
    """
    bucket, _, name = address.partition("://")[2].partition("/")
    with object_stores.errors_named(address, object_stores.NO_OBJECT):
        if not (bucket and name):
            raise FileNotFoundError(errno.ENOENT, object_stores.NO_OBJECT, address)
        if address.startswith(object_stores.GCS):
            return _or_nothing(
                lambda: _read_google(bucket, name, first, first + num_bytes - 1, timeout_secs)
            )
        return _or_nothing(lambda: _read_amazon(bucket, name, first, first + num_bytes - 1))


def _read_google(bucket: str, name: str, first: int, last: int, timeout_secs: float) -> bytes:
    blob = object_stores.client(object_stores.GCS).client.bucket(bucket).blob(name)
    # Raw: as it is stored, also where it is stored compressed. A part has no checksum.
    data: bytes = blob.download_as_bytes(
        start=first, end=last, raw_download=True, checksum=None, retry=None, timeout=timeout_secs
    )
    return data


def _read_amazon(bucket: str, name: str, first: int, last: int) -> bytes:
    answer = object_stores.client(object_stores.S3).client.get_object(
        Bucket=bucket, Key=name, Range=f"bytes={first}-{last}"
    )
    with contextlib.closing(answer["Body"]) as body:
        data: bytes = body.read()
    return data


def _or_nothing(read: Callable[[], bytes]) -> bytes:
    """Reads; a range that begins at the object's end, also an empty object's, holds nothing."""
    try:
        return read()
    # The classes are in packages that may not be installed.
    except Exception as error:
        if _OUT_OF_RANGE in object_stores.statuses(error):
            return b""
        raise
