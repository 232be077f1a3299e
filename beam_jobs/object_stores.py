"""What `gs://` and `s3://` need beyond Beam's `FileSystems`.

Beam makes a new client for every file it opens; here each thread keeps one, with its connections.
What the clients raise becomes an `OSError` that names the address. An upload that an error breaks
off leaves no object. Retries are the clients' own.
"""

import contextlib
import copy
import errno
import functools
import io
import threading
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.value_provider import RuntimeValueProvider

GCS = "gs://"
S3 = "s3://"
SCHEMES = (GCS, S3)
CLIENTS = 256
_LOCK = threading.Lock()
NO_OBJECT = "there is no such object"
_EXTRAS = {GCS: "gcp", S3: "aws"}


class StorageError(OSError):
    """A file system could not do what was asked, after its own retries."""


def bucket_of(address: str) -> str:
    """Returns `gs://bucket` for `gs://bucket/a/b`."""
    return "/".join(address.split("/")[:3])


def open_read(address: str) -> BinaryIO:
    """Opens an object for reading; what fails later, while reading, is the client's own error.

    Raises:
        OSError: where it cannot be opened.
    """
    with errors_named(address, NO_OBJECT):
        return cast(BinaryIO, _opener(address).open(address, "rb"))


def open_write(address: str) -> BinaryIO:
    """Opens an object for writing; it appears when it is closed.

    Raises:
        OSError: where it cannot be opened, and so do writing and closing.
    """
    with errors_named(address):
        return cast(BinaryIO, _Upload(address, _opener(address).open(address, "wb")))


def exists(address: str) -> bool:
    """Tells whether there is an object; there is none in a missing bucket.

    Raises:
        OSError: where that cannot be told.
    """
    with errors_named(address):
        return bool(_opener(address).exists(address))


def delete(addresses: Sequence[str]) -> None:
    """Removes objects of one store, many with one request; missing ones are passed over.

    Raises:
        OSError: where one cannot be removed.
    """
    if not addresses:
        return
    with errors_named(bucket_of(addresses[0])):
        opener = _opener(addresses[0])
        if addresses[0].startswith(GCS):
            results = opener.delete_batch(list(addresses))
        else:
            results = opener.delete_files(list(addresses))
        failed = {address: error for address, error in results if error is not None}
        if failed:
            raise BeamIOError("Delete operation failed", failed)


def check_bucket(address: str) -> None:
    """Makes sure that there is the bucket: Beam lists a missing one of S3 as an empty one.

    Raises:
        OSError: where there is none, or it must not be seen.
    """
    if address.startswith(S3):
        with errors_named(address):
            name = bucket_of(address)[len(S3) :]
            client(S3).client.head_bucket(Bucket=name)


@contextlib.contextmanager
def errors_named(address: str, missing: str = "") -> Iterator[None]:
    """Turns what Beam and the clients raise into an `OSError` that names the address.

    Args:
        address: what is read or written.
        missing: what status 404 means here; that there is no bucket, if left out.
    """
    try:
        yield
    except _client_errors() as error:
        raise _os_error(address, missing, error) from error
    except (ImportError, AssertionError) as error:
        # Beam asserts that there is boto3.
        extra = _EXTRAS[GCS if address.startswith(GCS) else S3]
        raise StorageError(
            f"{address}: needs the extra `{extra}`: pip install 'batch-image-captioning[{extra}]'"
        ) from error


class _Upload(io.RawIOBase):
    """Writes to an object and names its errors; left by an error, it makes no object."""

    def __init__(self, address: str, stream: Any) -> None:
        super().__init__()
        self._address = address
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with errors_named(self._address):
            self._stream.write(data)
        return len(data)

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        with errors_named(self._address):
            if self._address.startswith(S3):
                self._stream.flush()
                _give_a_part(self._stream.raw._uploader)
            self._stream.close()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self.close()
            return
        super().close()
        if self._address.startswith(S3):
            # Beam's uploader then raises this instead of completing the upload.
            self._stream.raw._uploader.last_error = error
            with contextlib.suppress(kind):
                self._stream.close()
        else:
            self._stream.__exit__(kind, error, trace)


def _give_a_part(uploader: Any) -> None:
    """Sends an empty part where there is none: S3 completes no upload without one."""
    if not uploader.parts and not uploader.buffer:
        uploader._write_to_s3(b"")


def _options() -> Any:
    return (
        FileSystems._pipeline_options or RuntimeValueProvider.runtime_options or PipelineOptions([])
    )


def _opener(address: str) -> Any:
    """Returns Beam's object that opens and deletes, with this thread's client in it."""
    if address.startswith(GCS):
        return client(GCS)
    from apache_beam.io.aws.s3io import S3IO

    # The client itself may be shared, but Beam's wrapper remembers the download that is open.
    return S3IO(client=copy.copy(client(S3)))


def client(scheme: str) -> Any:
    """Returns Beam's client of a store, kept for later calls.

    Amazon's may be shared by threads, and is; Google's may not, so each thread has its own.

    Args:
        scheme: `GCS` or `S3`.
    """
    thread = threading.get_ident() if scheme == GCS else 0
    with _LOCK:
        return _make_client(scheme, _options(), thread)


@functools.lru_cache(maxsize=CLIENTS)
def _make_client(scheme: str, options: Any, thread: int) -> Any:
    del thread
    if scheme == GCS:
        from apache_beam.io.gcp.gcsio import GcsIO

        return GcsIO(pipeline_options=options)
    from apache_beam.io.aws.clients.s3.boto3_client import Client

    return Client(options=options)


def forget_clients() -> None:
    """Closes nothing, but makes new clients from now on: for other credentials or endpoints."""
    _make_client.cache_clear()


@functools.cache
def _client_errors() -> tuple[type[Exception], ...]:
    """Returns the base classes of what the clients that are installed raise."""
    from apache_beam.io.aws.clients.s3.messages import S3ClientError

    found: list[type[Exception]] = [BeamIOError, S3ClientError, FileNotFoundError]
    with contextlib.suppress(ImportError):
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError

        found += [GoogleAPIError, GoogleAuthError]
    with contextlib.suppress(ImportError):
        from google.cloud.storage.exceptions import InvalidResponse

        found.append(InvalidResponse)
    with contextlib.suppress(ImportError):
        from botocore.exceptions import BotoCoreError, ClientError

        found += [BotoCoreError, ClientError]
    return tuple(found)


def _os_error(address: str, missing: str, error: Exception) -> OSError:
    status = next(statuses(error), None)
    if status == 404 or isinstance(error, FileNotFoundError):
        return FileNotFoundError(
            errno.ENOENT, missing or f"there is no bucket {bucket_of(address)}", address
        )
    if status in (401, 403):
        return PermissionError(errno.EACCES, f"access denied: {error}", address)
    # Without a number: whether to try again is for those to judge who look at the cause.
    return StorageError(f"{address}: {type(error).__name__}: {error}")


def statuses(error: Any) -> Iterator[int]:
    """Yields the HTTP statuses that an error carries, in any of the clients' ways."""
    if isinstance(error, BeamIOError):
        for inner in (error.exception_details or {}).values():
            yield from statuses(inner)
        return
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        response = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    for value in (error, getattr(error, "code", None), response):
        value = getattr(value, "status_code", value)
        if isinstance(value, int):
            yield int(value)
