"""BigQuery for tests: `bqemulator`, which runs from a virtual environment of its own.

`make` builds that environment in `.bqemulator` inside the tests' one. It has DuckDB's extensions
in its own home folder: nothing is written into the user's.
"""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.services.gcs import Gcs
from tests.services.google_credentials import PROJECT
from tests.services.processes import ServiceError, running


@dataclasses.dataclass(frozen=True)
class BigQuery:
    """A running emulator.

    Attributes:
        url: its address.
        environment: variables that turn google-cloud-bigquery to it, and Beam where
            `beam_to_emulators` is imported; those of the object store, where load jobs find their
            files, included.
    """

    url: str
    environment: Mapping[str, str]

    def client(self) -> Any:
        """Returns a client of google-cloud-bigquery."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        return bigquery.Client(
            PROJECT, AnonymousCredentials(), client_options={"api_endpoint": self.url}
        )


@dataclasses.dataclass(frozen=True)
class Dataset:
    """An empty dataset of a running emulator."""

    server: BigQuery
    name: str

    def table(self, name: str) -> str:
        """Returns a table's name as `--output_table` takes it."""
        return f"{PROJECT}:{self.name}.{name}"

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Returns the rows of a query; tables are named without their dataset."""
        from google.cloud import bigquery

        client = self.server.client()
        config = bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.{self.name}")
        return [dict(row) for row in client.query(sql, config).result()]


def bqemulator_program() -> Path:
    """Returns where the program is.

    Raises:
        ServiceError: where there is none.
    """
    beside = os.path.join(sys.prefix, ".bqemulator", "bin", "bqemulator")
    path = Path(os.environ.get("BQEMULATOR", beside)).absolute()
    if not path.exists():
        raise ServiceError(f"there is no {path}: `make bqemulator` installs it, or set BQEMULATOR")
    return path


@contextlib.contextmanager
def running_bigquery(folder: Path, gcs: Gcs) -> Iterator[BigQuery]:
    """Runs the emulator on free ports; its tables are in its memory.

    Args:
        folder: for its log.
        gcs: the object store of load and export jobs.
    """
    program = bqemulator_program()

    def command(ports: list[int]) -> list[str]:
        rest, grpc = (str(port) for port in ports)
        options = ["--rest-port", rest, "--grpc-port", grpc, "--project", PROJECT]
        return [str(program), "start", *options, "--log-level", "warning"]

    settings = {
        "BQEMU_GCS_LOCAL_ROOT": str(gcs.root),
        # Its cache of results outlives a MERGE.
        "BQEMU_QUERY_CACHE_TTL_SECONDS": "0",
        "HOME": str(program.parents[1]),
    }
    with running(command, folder, num_ports=2, environment=settings) as ports:
        url = f"http://127.0.0.1:{ports[0]}"
        turned = {
            "BIGQUERY_EMULATOR_HOST": url,
            "BIGQUERY_STORAGE_GRPC_ENDPOINT": f"127.0.0.1:{ports[1]}",
        }
        yield BigQuery(url, {**gcs.environment, **turned})
