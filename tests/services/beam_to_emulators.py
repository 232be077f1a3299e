"""Turns Beam's own BigQuery clients to the emulator that the environment names.

`BIGQUERY_EMULATOR_HOST` turns google-cloud-bigquery, but neither the client that Beam generated
nor that of the Storage Read API. Importing this module turns those too: in the test's process, and
in worker processes, whose pipeline names it with `--beam_plugins=tests.services.beam_to_emulators`.

Two things that the emulator lacks are mended here. It stores no query's result, so Beam's query
jobs, which ask for that, become `CREATE TABLE ... AS` the query. It ignores the filter by which
Beam lists its temporary datasets to remove them, so others are kept from being removed.
"""

import os
from typing import Any

import grpc
from apache_beam.io.gcp import bigquery, bigquery_tools
from apache_beam.io.gcp.internal.clients.bigquery import bigquery_v2_client
from google.cloud.bigquery_storage_v1 import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
    BigQueryReadGrpcTransport,
)

from tests.services.google_credentials import stay_offline

REST = "BIGQUERY_EMULATOR_HOST"
GRPC = "BIGQUERY_STORAGE_GRPC_ENDPOINT"


class Storage:
    """Stands for the module from which Beam takes the client of the Storage Read API."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def BigQueryReadClient(self, *_: Any, **__: Any) -> BigQueryReadClient:
        """Returns a client that speaks to the emulator where there is one, without TLS."""
        if GRPC not in os.environ:
            return BigQueryReadClient()
        channel = grpc.insecure_channel(os.environ[GRPC])
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))


def start_query_job(
    wrapper: Any, project: str, query: str, *arguments: Any, dry_run: bool = False, **named: Any
) -> Any:
    """Stands for the method of Beam's `BigQueryWrapper` with this name."""
    if not dry_run:
        table = wrapper._get_temp_table(project)
        name = f"{table.projectId}.{table.datasetId}.{table.tableId}"
        query = f"CREATE TABLE `{name}` AS {query}"
    return _START_QUERY_JOB(wrapper, project, query, *arguments, dry_run=dry_run, **named)


def delete_dataset(wrapper: Any, project: str, dataset: str, *arguments: Any) -> None:
    """Stands for the method of Beam's `BigQueryWrapper` with this name."""
    if dataset.startswith(bigquery_tools.BigQueryWrapper.TEMP_DATASET):
        _DELETE_DATASET(wrapper, project, dataset, *arguments)


_START_QUERY_JOB = bigquery_tools.BigQueryWrapper._start_query_job
_DELETE_DATASET = bigquery_tools.BigQueryWrapper._delete_dataset


def turn() -> None:
    """Turns the clients of this process."""
    stay_offline()
    url = os.environ[REST]
    bigquery_v2_client.BigqueryV2.BASE_URL = f"{url}/bigquery/v2/"
    if not isinstance(bigquery.bq_storage, Storage):
        bigquery.bq_storage = Storage(bigquery.bq_storage)
    bigquery_tools.BigQueryWrapper._start_query_job = start_query_job
    bigquery_tools.BigQueryWrapper._delete_dataset = delete_dataset


if REST in os.environ:
    turn()
