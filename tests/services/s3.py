"""S3 for tests: moto's server."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.services.processes import running


@dataclasses.dataclass(frozen=True)
class S3:
    """A running server.

    Attributes:
        url: its address.
        environment: variables that turn boto3, and with it Beam, to it.
    """

    url: str
    environment: Mapping[str, str]

    def create_bucket(self, name: str) -> str:
        """Makes a bucket and returns its address."""
        self._client().create_bucket(Bucket=name)
        return f"s3://{name}"

    def remove_bucket(self, name: str) -> None:
        """Removes a bucket with all it holds."""
        client = self._client()
        for item in client.list_objects_v2(Bucket=name).get("Contents", []):
            client.delete_object(Bucket=name, Key=item["Key"])
        client.delete_bucket(Bucket=name)

    def _client(self):
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.environment["AWS_DEFAULT_REGION"],
        )


@contextlib.contextmanager
def running_s3(folder: Path) -> Iterator[S3]:
    """Runs the server on a free port; its objects are in its memory."""

    def command(ports: list[int]) -> list[str]:
        program = str(Path(sys.executable).with_name("moto_server"))
        return [program, "-H", "127.0.0.1", "-p", str(ports[0])]

    with running(command, folder, "/moto-api/") as ports:
        url = f"http://127.0.0.1:{ports[0]}"
        environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        yield S3(url, environment)
