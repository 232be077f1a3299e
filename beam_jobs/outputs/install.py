"""Puts finished files into a table's folder, so that readers never see half of one.

On this machine files are built in the output's staging folder and come by rename: a new table,
or one that replaces another, by exchanging the whole folder. On an object store they are built
in a temporary folder and each is made by one create, new ones before old ones are removed.
"""

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Sequence

from beam_jobs import storage
from beam_jobs.outputs.journal import STAGING


class Workplace:
    """A folder of this machine in which one table's files are built; a context manager."""

    def __init__(self, output: str, table: str) -> None:
        """Chooses the folder.

        Args:
            output: the job's output folder, on any file system.
            table: name of the table, which is its folder in the output.
        """
        self._target = storage.join(output, table)
        self._is_local = "://" not in storage.plain_path(output)
        self._stack = contextlib.ExitStack()
        if self._is_local:
            self._target = storage.plain_path(self._target)
            base = os.path.join(storage.plain_path(output), STAGING)
            self.folder = os.path.join(base, f"publish-{uuid.uuid4().hex[:8]}", table)
        else:
            self.folder = os.path.join(tempfile.gettempdir(), f"publish-{uuid.uuid4().hex}", table)

    def __enter__(self) -> "Workplace":
        """Makes the folder."""
        os.makedirs(self.folder)
        self._stack.callback(shutil.rmtree, os.path.dirname(self.folder), ignore_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the folder with what was not installed."""
        self._stack.close()

    def install(self, new: Sequence[str], kept: Sequence[str]) -> None:
        """Makes the table consist of the new and the kept files.

        Args:
            new: files in `folder`.
            kept: files of the table that stay; all others go.

        Raises:
            OSError: where the table cannot be written.
        """
        if self._is_local:
            self._install_here(new, kept)
        else:
            self._install_remotely(new, kept)

    def _install_here(self, new: Sequence[str], kept: Sequence[str]) -> None:
        for path in new:
            _sync(path)
        if kept:
            for path in new:
                os.replace(path, os.path.join(self._target, os.path.basename(path)))
            self._remove_others([*new, *kept])
        else:
            self._exchange(bool(new))
        storage.sync_folder(os.path.dirname(os.path.abspath(self._target)))

    def _exchange(self, has_rows: bool) -> None:
        """Puts the new folder in the old one's place; an empty table has no folder."""
        if os.path.isdir(self._target):
            os.rename(self._target, f"{self.folder}.replaced")
        if has_rows:
            os.rename(self.folder, self._target)
            storage.sync_folder(self._target)

    def _install_remotely(self, new: Sequence[str], kept: Sequence[str]) -> None:
        for path in new:
            with open(path, "rb") as source:
                target = storage.join(self._target, os.path.basename(path))
                with storage.open_write(target) as stream:
                    shutil.copyfileobj(source, stream, 1024 * 1024)
        self._remove_others([*new, *kept])

    def _remove_others(self, wanted: Sequence[str]) -> None:
        names = {path.rsplit("/", 1)[-1] for path in wanted}
        found = [file.path for file in storage.list_folder(self._target)]
        storage.delete(path for path in found if path.rsplit("/", 1)[-1] not in names)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
