import dataclasses
import datetime

import pyarrow as pa
import pytest

from beam_jobs import records
from beam_jobs.config import CaptionStyle
from beam_jobs.records import CAPTIONS, FAILURES, CaptionedImage, Failure, RunStamp
from model_lib.caption import Caption

NOON = datetime.datetime(2026, 1, 2, 12, 0, 0, 5, tzinfo=datetime.timezone.utc)
STAMP = RunStamp(run_id="r1", model_name="toy", model_fingerprint="ab" * 32, decode_config="{}")
IMAGE = CaptionedImage(
    uri="a.jpg",
    image_sha256="cd" * 32,
    captions=(
        Caption("a dog", (4, 5, 3), log_prob=-1.5, score=-0.5, num_tokens=3, finished=True),
        Caption("a cat", (4, 6), log_prob=-3.0, score=-1.5, num_tokens=2, finished=False),
    ),
    width=640,
    height=480,
    format="jpeg",
    size_bytes=12_345,
)
CAPTION_ROW = {
    "uri": "a.jpg",
    "image_sha256": "cd" * 32,
    "caption": "a dog",
    "score": -0.5,
    "candidates": [
        {"caption": "a dog", "log_prob": -1.5, "score": -0.5},
        {"caption": "a cat", "log_prob": -3.0, "score": -1.5},
    ],
    "confidence": None,
    "num_tokens": 3,
    "finished": True,
    "sentence": None,
    "low_confidence": None,
    "width": 640,
    "height": 480,
    "format": "jpeg",
    "size_bytes": 12_345,
    "run_id": "r1",
    "model_name": "toy",
    "model_fingerprint": "ab" * 32,
    "decode_config": "{}",
    "captioned_at": NOON,
}


def test_caption_row_is_whole():
    assert records.caption_row(IMAGE, STAMP, NOON) == CAPTION_ROW


@pytest.mark.parametrize(
    ("style", "sentence", "low_confidence"),
    [
        (CaptionStyle("sentence"), "A dog.", None),
        (CaptionStyle(min_score=-0.5), None, False),
        (CaptionStyle("sentence", -0.49), "A dog.", True),
    ],
)
def test_a_style_fills_its_columns(style, sentence, low_confidence):
    row = records.caption_row(IMAGE, STAMP, NOON, style=style)
    assert row == {**CAPTION_ROW, "sentence": sentence, "low_confidence": low_confidence}


def test_a_temperature_turns_the_score_into_a_confidence():
    stamp = dataclasses.replace(STAMP, score_temperature=2.0)
    row = records.caption_row(IMAGE, stamp, NOON)
    assert row == {**CAPTION_ROW, "confidence": pytest.approx(0.7788007830714049)}


def test_failure_row_is_whole():
    failure = Failure.from_error("b.jpg", "read", FileNotFoundError(2, "No such file"), 3)
    assert records.failure_row(failure, "r1", NOON) == {
        "uri": "b.jpg",
        "stage": "read",
        "error_type": "FileNotFoundError",
        "error_message": "[Errno 2] No such file",
        "attempts": 3,
        "transient": False,
        "run_id": "r1",
        "failed_at": NOON,
    }


def test_arrow_schema_is_that_of_the_design():
    candidate = pa.struct(
        [
            pa.field("caption", pa.string(), nullable=False),
            pa.field("log_prob", pa.float64(), nullable=False),
            pa.field("score", pa.float64(), nullable=False),
        ]
    )
    types = {
        "uri": pa.string(),
        "image_sha256": pa.string(),
        "caption": pa.string(),
        "score": pa.float64(),
        "candidates": pa.list_(pa.field("element", candidate, nullable=False)),
        "confidence": pa.float64(),
        "num_tokens": pa.int32(),
        "finished": pa.bool_(),
        "sentence": pa.string(),
        "low_confidence": pa.bool_(),
        "width": pa.int32(),
        "height": pa.int32(),
        "format": pa.string(),
        "size_bytes": pa.int64(),
        "model_name": pa.string(),
        "model_fingerprint": pa.string(),
        "decode_config": pa.string(),
        "run_id": pa.string(),
        "captioned_at": pa.timestamp("us", tz="UTC"),
    }
    on_demand = ("confidence", "sentence", "low_confidence")
    expected = pa.schema(
        [pa.field(name, kind, nullable=name in on_demand) for name, kind in types.items()]
    )
    assert CAPTIONS.arrow_schema().equals(expected)


@pytest.mark.parametrize("table", [CAPTIONS, FAILURES])
def test_both_schemas_name_the_same_columns_in_the_same_order(table):
    bigquery = [field["name"] for field in table.bigquery_schema()["fields"]]
    assert bigquery == table.arrow_schema().names == [column.name for column in table.columns]


def test_bigquery_schema_knows_repeated_records_and_times():
    fields = {field["name"]: field for field in CAPTIONS.bigquery_schema()["fields"]}
    candidates = fields["candidates"]
    assert (candidates["type"], candidates["mode"]) == ("RECORD", "REPEATED")
    assert [(field["name"], field["type"]) for field in candidates["fields"]] == [
        ("caption", "STRING"),
        ("log_prob", "FLOAT"),
        ("score", "FLOAT"),
    ]
    assert (fields["captioned_at"]["type"], fields["captioned_at"]["mode"]) == (
        "TIMESTAMP",
        "REQUIRED",
    )


def test_rows_fit_the_schema_to_the_microsecond():
    table = pa.Table.from_pylist([CAPTION_ROW], schema=CAPTIONS.arrow_schema())
    assert table.to_pylist() == [CAPTION_ROW]


def test_long_and_unprintable_messages_are_cut_and_escaped():
    failure = Failure.from_error("u", "read", ValueError("\udce9" + "x" * 5000))
    assert failure.error_message.startswith("\\udce9xxx")
    assert len(failure.error_message) == records.MAX_MESSAGE_CHARS


def test_an_error_without_words_still_says_something():
    assert Failure.from_error("u", "caption", MemoryError()).error_message == "MemoryError()"


def test_carried_columns_come_after_our_own():
    fields = [pa.field("id", pa.int32()), pa.field("tags", pa.list_(pa.string()))]
    table = CAPTIONS.with_columns([records.carried_column(field) for field in fields])
    assert table.name == "captions"
    assert table.arrow_schema().names == [*CAPTIONS.arrow_schema().names, "id", "tags"]
    assert table.arrow_schema().field("id") == pa.field("id", pa.int32(), nullable=True)
    declared = {field["name"]: field for field in table.bigquery_schema()["fields"]}
    assert (declared["id"]["type"], declared["id"]["mode"]) == ("INTEGER", "NULLABLE")
    assert (declared["tags"]["type"], declared["tags"]["mode"]) == ("STRING", "REPEATED")
    row = records.caption_row(IMAGE._replace(carried=(7, ["x"])), STAMP, NOON, ["id", "tags"])
    assert row == {**CAPTION_ROW, "id": 7, "tags": ["x"]}
    assert pa.Table.from_pylist([row], schema=table.arrow_schema()).to_pylist() == [row]


def test_an_element_that_brought_nothing_to_carry_has_nulls():
    failure = Failure("b.jpg", "read", "X", "y")
    assert records.failure_row(failure, "r1", NOON, ["id"])["id"] is None
    assert records.failure_row(failure._replace(carried=(8,)), "r1", NOON, ["id"])["id"] == 8


def test_times_survive_as_text():
    assert records.parse_time(NOON.isoformat()) == NOON


def test_now_is_utc():
    assert records.utc_now().utcoffset() == datetime.timedelta(0)
