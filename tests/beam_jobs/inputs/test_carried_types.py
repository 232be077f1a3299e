import pyarrow as pa
import pytest

from beam_jobs.inputs.carried_types import arrow_to_bigquery
from model_lib.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "name", "mode"),
    [
        (pa.string(), "STRING", "NULLABLE"),
        (pa.large_string(), "STRING", "NULLABLE"),
        (pa.binary(), "BYTES", "NULLABLE"),
        (pa.bool_(), "BOOLEAN", "NULLABLE"),
        (pa.int8(), "INTEGER", "NULLABLE"),
        (pa.float32(), "FLOAT", "NULLABLE"),
        (pa.decimal128(9, 2), "NUMERIC", "NULLABLE"),
        (pa.date32(), "DATE", "NULLABLE"),
        (pa.time64("us"), "TIME", "NULLABLE"),
        (pa.timestamp("us"), "DATETIME", "NULLABLE"),
        (pa.timestamp("us", tz="UTC"), "TIMESTAMP", "NULLABLE"),
        (pa.list_(pa.int64()), "INTEGER", "REPEATED"),
    ],
)
def test_types(kind, name, mode):
    assert arrow_to_bigquery(pa.field("x", kind)) == {"name": "x", "type": name, "mode": mode}


def test_structs():
    kind = pa.list_(pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))]))
    assert arrow_to_bigquery(pa.field("x", kind)) == {
        "name": "x",
        "type": "RECORD",
        "mode": "REPEATED",
        "fields": [
            {"name": "a", "type": "INTEGER", "mode": "NULLABLE"},
            {"name": "b", "type": "STRING", "mode": "REPEATED"},
        ],
    }


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.list_(pa.int64())), pa.duration("s"), pa.map_(pa.string(), pa.string())]
)
def test_what_bigquery_has_no_equal_of(kind):
    with pytest.raises(ConfigError, match=r"column 'x' of type .* cannot be written to BigQuery"):
        arrow_to_bigquery(pa.field("x", kind))
