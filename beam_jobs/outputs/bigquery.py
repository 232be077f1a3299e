"""The published tables in BigQuery: `TABLE` for captions, `TABLE_failures` for failures.

Rows go by load jobs (Beam's FILE_LOADS) into two loading tables that nobody else knows, and from
there by one SQL statement a table into the final ones. That statement leaves out rows that are
there: a repeated load adds nothing, and a run that is killed at any moment, even with its load job
still at work in the cloud, leaves the final tables as they were or as they should be. Keys are
compared inside BigQuery, so that none are exported or downloaded, however large the table.

A caption's key is (uri, model_fingerprint, decode_config). A failure's is its URI: the newest
stays, and none does whose image has been captioned.
"""

import contextlib
import datetime
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from beam_jobs import storage
from beam_jobs.outputs.bigquery_rows import TableName, check_columns, differences, json_row
from beam_jobs.outputs.bigquery_sql import Target, statements, targets_of
from beam_jobs.records import Table
from model_lib.errors import CaptioningError, ConfigError

if TYPE_CHECKING:
    from google.cloud import bigquery

LOADING_DAYS = 1
READ_ROWS = 1000
CHECK_SECS = 60.0


class TableLoadError(CaptioningError):
    """Rows could not be loaded into BigQuery; they are in the output folder all the same."""


def check_table(table: str, captions: Table, failures: Table, options: PipelineOptions) -> None:
    """Looks early at everything that would make the load fail late.

    Args:
        table: `PROJECT:DATASET.TABLE` or `PROJECT.DATASET.TABLE`.
        captions: the captions table with its carried columns.
        failures: the failures table with its carried columns.
        options: Beam's own.

    Raises:
        ConfigError: for a wrong name, an option that is missing, a dataset that is missing or
            must not be seen, a table with other columns.
    """
    targets = targets_of(TableName.parse(table), captions, failures)
    _temp_location(options)
    for target in targets:
        check_columns(target.fields)
    client = _client(targets[0].name, options)
    with _refusals(table):
        client.get_dataset(targets[0].name.dataset_id, retry=_short_retry())
    for target in targets:
        with _refusals(str(target.name)):
            present = _present_columns(client, target.name)
        found = differences(present, target.fields) if present else []
        if found:
            raise ConfigError(
                f"--output_table {target.name}: has other columns: {'; '.join(found)}. Choose "
                "another table, or other columns with --carry_columns"
            )


def work_folder(table: str, options: PipelineOptions, job: str) -> str:
    """Returns the output folder of a job that has none: below Beam's `--temp_location`.

    Args:
        table: the BigQuery table.
        options: Beam's own.
        job: a word that differs between jobs.

    Raises:
        ConfigError: for a wrong table name, or without `--temp_location`.
    """
    name = TableName.parse(table)
    folder = f"{name.dataset_id}.{name.table}".replace(":", ".")
    return f"{_temp_location(options).rstrip('/')}/caption-images/{folder}/{job}"


def load_tables(
    output: str,
    table: str,
    captions: Table,
    failures: Table,
    run_ids: Sequence[str],
    options: PipelineOptions,
) -> None:
    """Brings the tables published in an output folder into BigQuery; may be repeated.

    Args:
        output: the folder, with `captions` and `failures` in it.
        table: `PROJECT:DATASET.TABLE`; made where it is missing, and so is `TABLE_failures`.
        captions: the captions table with its carried columns.
        failures: the failures table with its carried columns.
        run_ids: all runs of this job: their failures which are no longer published go.
        options: Beam's own; its runner loads the rows.

    Raises:
        TableLoadError: where that fails; a repeated load goes on.
    """
    targets = targets_of(TableName.parse(table), captions, failures)
    client = _client(targets[0].name, options)
    try:
        with _loading_tables(client, targets):
            _run_load_pipeline(output, targets, options)
            for target in targets:
                client.create_table(_definition(target), exists_ok=True)
            for statement in statements(*targets):
                _query(client, statement, run_ids)
    # Runners, the cloud and the network raise errors of every kind.
    except Exception as error:
        raise TableLoadError(
            f"--output_table {table}: could not be loaded: {error}. The rows are in {output}; "
            "the same command with --resume loads them"
        ) from error


def _temp_location(options: PipelineOptions) -> str:
    location = options.view_as(GoogleCloudOptions).temp_location or ""
    if not location.startswith("gs://"):
        raise ConfigError(
            "--output_table: rows reach BigQuery by way of a folder of Google Cloud Storage; "
            f"say --temp_location gs://BUCKET/FOLDER, not {location or 'nothing'}"
        )
    return str(location)


def _client(name: TableName, options: PipelineOptions) -> "bigquery.Client":
    """Returns Google's client, with the credentials and the project that Beam uses."""
    try:
        from apache_beam.internal.gcp import auth
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery
    except ImportError as error:
        raise ConfigError(
            f"--output_table: Google's libraries are missing ({error}); install the extra `gcp`: "
            "pip install 'batch-image-captioning[gcp]'"
        ) from error
    found = auth.get_service_credentials(options)
    credentials = found.get_google_auth_credentials() if found else AnonymousCredentials()
    project = options.view_as(GoogleCloudOptions).project or name.project
    return bigquery.Client(project, credentials)


@contextlib.contextmanager
def _refusals(where: str) -> Iterator[None]:
    """Turns what Google's client raises into a refusal."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, OSError) as error:
        raise ConfigError(f"--output_table {where}: {error}") from error


def _short_retry() -> Any:
    """Returns Google's usual retries, but for one minute instead of ten."""
    from google.cloud.bigquery import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(CHECK_SECS)


def _present_columns(client: "bigquery.Client", name: TableName) -> list[dict[str, Any]]:
    """Returns the columns of a table; none where there is no table."""
    from google.api_core.exceptions import NotFound

    try:
        table = client.get_table(f"{name.dataset_id}.{name.table}", retry=_short_retry())
    except NotFound:
        return []
    return [field.to_api_repr() for field in table.schema]


def _schema(target: Target) -> list[Any]:
    from google.cloud import bigquery

    return [bigquery.SchemaField.from_api_repr(field) for field in target.fields]


def _definition(target: Target) -> "bigquery.Table":
    from google.cloud import bigquery

    definition = bigquery.Table(f"{target.name.dataset_id}.{target.name.table}", _schema(target))
    definition.time_partitioning = bigquery.TimePartitioning(field=target.partition_column)
    definition.clustering_fields = [target.cluster_column]
    return definition


@contextlib.contextmanager
def _loading_tables(client: "bigquery.Client", targets: Sequence[Target]) -> Iterator[None]:
    """Makes empty loading tables and removes them; after a kill BigQuery does, within a day."""
    from google.api_core.exceptions import GoogleAPIError
    from google.cloud import bigquery

    now = datetime.datetime.now(datetime.timezone.utc)
    names = [f"{target.loading.dataset_id}.{target.loading.table}" for target in targets]
    for name, target in zip(names, targets, strict=True):
        definition = bigquery.Table(name, _schema(target))
        definition.expires = now + datetime.timedelta(days=LOADING_DAYS)
        client.create_table(definition)
    try:
        yield
    finally:
        for name in names:
            with contextlib.suppress(GoogleAPIError):
                client.delete_table(name, not_found_ok=True)


def _run_load_pipeline(output: str, targets: Sequence[Target], options: PipelineOptions) -> None:
    with beam.Pipeline(options=options) as pipeline:
        for target in targets:
            name, schema = target.table.name, target.table.bigquery_schema()
            files = _published_files(output, name)
            if not files:
                continue
            _ = (
                pipeline
                | f"Files of {name}" >> beam.Create(files)
                | f"Spread {name}" >> beam.Reshuffle()
                | f"Read {name}" >> beam.FlatMap(_read_rows)
                | f"{name} as JSON" >> beam.Map(json_row, schema["fields"])
                | f"Load {name}"
                >> beam.io.WriteToBigQuery(
                    str(target.loading),
                    schema=schema,
                    method=beam.io.WriteToBigQuery.Method.FILE_LOADS,
                    create_disposition=beam.io.BigQueryDisposition.CREATE_NEVER,
                    write_disposition=beam.io.BigQueryDisposition.WRITE_TRUNCATE,
                )
            )


def _published_files(output: str, name: str) -> list[str]:
    paths = [found.path for found in storage.list_folder(storage.join(output, name))]
    return sorted(path for path in paths if path.endswith((".parquet", ".jsonl")))


def _read_rows(path: str) -> Iterator[dict[str, Any]]:
    """Yields the rows of a published file; Beam's own readers take its name for a pattern."""
    with storage.open_read(path) as stream:
        if path.endswith(".jsonl"):
            yield from map(json.loads, stream)
        else:
            for batch in pq.ParquetFile(stream).iter_batches(READ_ROWS, use_threads=False):
                yield from batch.to_pylist()


def _query(client: "bigquery.Client", statement: str, run_ids: Sequence[str]) -> None:
    from google.cloud import bigquery

    parameters = [bigquery.ArrayQueryParameter("run_ids", "STRING", list(run_ids))]
    client.query(statement, bigquery.QueryJobConfig(query_parameters=parameters)).result()
