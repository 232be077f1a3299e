"""One image's encoded bytes, from a file system or over http(s), within limits.

Takes a URI, or a span of an archive; gives its bytes, or raises one named error after the last
attempt. What may pass (a time-out, a broken connection, status 408, 425, 429 or 5xx) is tried again
after a growing, jittered wait; what will not (404, 403, too many bytes, an address that is not
public, an `X-Robots-Tag`) is not. How many reads go on at one host is limited for the process; a
read that waits before its next attempt counts as one.
"""

import functools
import threading
from collections.abc import Callable

from beam_jobs.config import FetchConfig
from beam_jobs.fetching import files
from beam_jobs.fetching.addresses import IsAllowed, is_public_address
from beam_jobs.fetching.errors import FetchFailedError
from beam_jobs.fetching.host_slots import PROCESS_SLOTS, Hold, host_of
from beam_jobs.fetching.http_reader import USER_AGENT, HttpReader, is_http
from beam_jobs.fetching.retrying import call
from beam_jobs.inputs.rows import InputRow, Span

__all__ = ["USER_AGENT", "FetchFailedError", "Fetcher", "is_http"]


class Fetcher:
    """Reads images; keeps connections open between them. One thread uses it at a time."""

    def __init__(self, config: FetchConfig, is_allowed: IsAllowed = is_public_address) -> None:
        """Opens no connection yet.

        Args:
            config: how images are read.
            is_allowed: judges the addresses that http(s) connects to, unless the configuration
                allows all.
        """
        self._config = config
        self._stopping = threading.Event()
        self._http = HttpReader(config, None if config.allow_private_addresses else is_allowed)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def stop(self) -> None:
        """Breaks off the read under way, and all later ones; called by any thread, also twice.

        Waits and connections end at once; a file system's own call ends when it ends.
        """
        self._stopping.set()
        self._http.stop()
        with PROCESS_SLOTS.lock:
            PROCESS_SLOTS.notify()

    def fetch(self, uri: str) -> bytes:
        """Reads an image.

        Args:
            uri: an http(s) URL, or an address on any file system that Beam knows; relative paths
                start from the configuration's `base_folder`.

        Returns:
            The encoded bytes, as they are, whatever they are.

        Raises:
            FetchFailedError: from the last error, after the last attempt.
        """
        return self.fetch_row(InputRow(uri))

    def fetch_span(self, span: Span) -> bytes:
        """Reads an image that lies inside an archive.

        Returns:
            Exactly `span.num_bytes` bytes.

        Raises:
            FetchFailedError: from the last error, after the last attempt; that is a
                `ShortArchiveError` where the archive ends too early.
        """
        return self.fetch_row(InputRow("", span=span))

    def fetch_row(self, row: InputRow, held_host: str | None = None) -> bytes:
        """Reads the image of an input row: its span where it has one, else its URI.

        Args:
            row: a row without a problem.
            held_host: the host, where the caller has taken a slot there; it is given back here.

        Raises:
            FetchFailedError: from the last error, after the last attempt.
        """
        with Hold(PROCESS_SLOTS, self._config.max_reads_per_host, self._stopping) as hold:
            hold.adopt(held_host)
            return call(self._attempt(row, hold), self._config.attempts, self._stopping)

    def _attempt(self, row: InputRow, hold: Hold) -> Callable[[], bytes]:
        if row.span is None and is_http(row.uri):
            return functools.partial(
                self._http.read, row.uri, lambda url: hold.move_to(host_of(url))
            )
        return functools.partial(self._read_file, row, hold)

    def _read_file(self, row: InputRow, hold: Hold) -> bytes:
        hold.move_to(host_of(address_of(row)))
        limits = (self._config.max_image_bytes, self._config.timeout_secs)
        located = files.located(address_of(row), self._config.base_folder)
        if row.span is None:
            return files.read_file(located, *limits)
        return files.read_span(row.span._replace(address=located), *limits)


def address_of(row: InputRow) -> str:
    """Returns what is opened for a row: its archive, or its URI."""
    return row.uri if row.span is None else row.span.address
