import os

from apache_beam.io.filesystems import FileSystems
from apache_beam.io.gcp.internal.clients.bigquery import bigquery_v2_client


def test_every_test_gets_a_bucket_of_its_own(bucket, request):
    assert FileSystems.match([f"{bucket}/**"])[0].metadata_list == []
    with FileSystems.create(f"{bucket}/a") as stream:
        stream.write(b"x")
    names = {"gs": "STORAGE_EMULATOR_HOST", "s3": "AWS_ENDPOINT_URL"}
    assert os.environ[names[bucket.split(":")[0]]].startswith("http://127.0.0.1:")


def test_queries_run_and_beam_is_turned_to_the_emulator(bigquery_dataset):
    bigquery_dataset.query("CREATE TABLE words (word STRING, n INT64)")
    bigquery_dataset.query("INSERT INTO words VALUES ('a', 1), ('b', NULL)")
    rows = bigquery_dataset.query("SELECT * FROM words ORDER BY word")
    assert rows == [{"word": "a", "n": 1}, {"word": "b", "n": None}]
    assert bigquery_dataset.table("words").endswith(f":{bigquery_dataset.name}.words")
    url = bigquery_dataset.server.url
    assert url + "/bigquery/v2/" == bigquery_v2_client.BigqueryV2.BASE_URL
