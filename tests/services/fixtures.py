"""Fixtures: one server of each kind for each test process, started when first asked for.

A test gets a bucket or dataset of its own, and the environment that turns clients to the server:
programs that it starts inherit that. After the test the environment is as it was.
"""

import sys
import uuid
from collections.abc import Iterator, Mapping

import pytest

from tests.services.bigquery import BigQuery, Dataset, running_bigquery
from tests.services.gcs import Gcs, running_gcs
from tests.services.google_credentials import PROJECT, stay_offline
from tests.services.processes import ServiceError
from tests.services.s3 import S3, running_s3


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory) -> Iterator[Gcs]:
    with running_gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory) -> Iterator[S3]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def bigquery_server(tmp_path_factory, gcs_server) -> Iterator[BigQuery]:
    try:
        with running_bigquery(tmp_path_factory.mktemp("bigquery"), gcs_server) as server:
            yield server
    except ServiceError as error:
        if sys.version_info < (3, 11):
            pytest.skip(f"bqemulator needs Python 3.11 or later: {error}")
        raise


@pytest.fixture
def gcs_bucket(gcs_server, monkeypatch) -> str:
    """Address of an empty bucket: `gs://...`."""
    turn_google_to(gcs_server.environment, monkeypatch)
    return gcs_server.create_bucket(f"bucket-{uuid.uuid4().hex}")


@pytest.fixture
def s3_bucket(s3_server, monkeypatch) -> str:
    """Address of an empty bucket: `s3://...`."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_jobs import object_stores

    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    # Beam's S3 client asks for options; a job's own, and a worker's, are set by then.
    monkeypatch.setattr(FileSystems, "_pipeline_options", PipelineOptions([]))
    object_stores.forget_clients()
    return s3_server.create_bucket(f"bucket-{uuid.uuid4().hex}")


@pytest.fixture(params=["gs", "s3"])
def bucket(request) -> str:
    """Address of an empty bucket; the test runs once with each kind of store."""
    return request.getfixturevalue({"gs": "gcs_bucket", "s3": "s3_bucket"}[request.param])


@pytest.fixture
def bigquery_dataset(bigquery_server, monkeypatch) -> Dataset:
    """An empty dataset."""
    from tests.services import beam_to_emulators

    turn_google_to(bigquery_server.environment, monkeypatch)
    beam_to_emulators.turn()
    dataset = Dataset(bigquery_server, f"dataset_{uuid.uuid4().hex}")
    bigquery_server.client().create_dataset(f"{PROJECT}.{dataset.name}")
    return dataset


def turn_google_to(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets variables, and lets Beam forget the credentials that it keeps for a process."""
    from apache_beam.internal.gcp import auth

    from beam_jobs import object_stores

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(auth._Credentials, "_credentials_init", False)
    monkeypatch.setattr(auth._Credentials, "_credentials", None)
    object_stores.forget_clients()
    stay_offline()
