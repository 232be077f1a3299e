"""Google Cloud Storage for tests: `gcp-storage-emulator`, with credentials that it takes."""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import requests

from tests.services.google_credentials import PROJECT, service_account
from tests.services.processes import running


@dataclasses.dataclass(frozen=True)
class Gcs:
    """A running emulator.

    Attributes:
        url: its address.
        root: folder with one folder for each bucket, objects as files.
        environment: variables that turn Google's and Beam's clients to it.
    """

    url: str
    root: Path
    environment: Mapping[str, str]

    def create_bucket(self, name: str) -> str:
        """Makes a bucket and returns its address."""
        answer = requests.post(
            f"{self.url}/storage/v1/b", params={"project": PROJECT}, json={"name": name}, timeout=30
        )
        answer.raise_for_status()
        return f"gs://{name}"

    def remove_bucket(self, name: str) -> None:
        """Removes a bucket with all it holds."""
        objects = f"{self.url}/storage/v1/b/{name}/o"
        for item in requests.get(objects, timeout=30).json().get("items", []):
            quoted = requests.utils.quote(item["name"], safe="")
            requests.delete(f"{objects}/{quoted}", timeout=30).raise_for_status()
        requests.delete(f"{self.url}/storage/v1/b/{name}", timeout=30).raise_for_status()


@contextlib.contextmanager
def running_gcs(folder: Path) -> Iterator[Gcs]:
    """Runs the emulator on a free port, its objects below the folder."""

    def command(ports: list[int]) -> list[str]:
        program = str(Path(sys.executable).with_name("gcp-storage-emulator"))
        # `-d` comes before `start`.
        options = ["--host=127.0.0.1", f"--port={ports[0]}", "--quiet"]
        return [program, "-d", str(folder), "start", *options]

    with service_account(folder) as account, running(command, folder) as ports:
        url = f"http://127.0.0.1:{ports[0]}"
        environment = {
            "STORAGE_EMULATOR_HOST": url,
            "GOOGLE_APPLICATION_CREDENTIALS": account,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "NO_PROXY": "127.0.0.1,localhost",
        }
        yield Gcs(url, folder / ".cloudstorage", environment)
