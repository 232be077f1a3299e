import datetime
import pickle
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.inputs.problems import BadRowError, NotUtf8Error
from beam_jobs.inputs.values import (
    carried_type,
    exchange_type,
    from_json,
    from_python,
    from_text,
    python_values,
)

NS = pa.timestamp("ns", tz="Europe/Berlin")
UTC = datetime.timezone.utc
BERLIN = pa.timestamp("us", tz="Europe/Berlin")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.int8(), pa.int8()),
        (pa.decimal128(12, 2), pa.decimal128(12, 2)),
        (pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.null(), pa.string()),
        (pa.list_(pa.null()), pa.list_(pa.string())),
        (pa.uuid(), pa.binary(16)),
        (
            pa.struct([pa.field("a", pa.list_(pa.dictionary(pa.int8(), NS)), nullable=False)]),
            pa.struct([pa.field("a", pa.list_(NS), nullable=False)]),
        ),
        (pa.map_(pa.string(), pa.null()), pa.map_(pa.string(), pa.string())),
        (pa.list_(pa.float32(), 3), pa.list_(pa.float32(), 3)),
    ],
)
def test_types_are_carried_as_they_are_but_for_three(kind, expected):
    assert carried_type(kind) == expected


def test_nanoseconds_travel_as_whole_numbers():
    kind = pa.struct([("a", pa.list_(NS)), ("b", pa.time64("ns")), ("c", pa.time64("us"))])
    assert exchange_type(kind) == pa.struct(
        [("a", pa.list_(pa.int64())), ("b", pa.int64()), ("c", pa.time64("us"))]
    )


ARRAYS = [
    pa.array([1, None, -1], pa.int8()),
    pa.array([2**64 - 1], pa.uint64()),
    pa.array([0.5, None], pa.float32()),
    pa.array([0.5, None], pa.float16()),
    pa.array([True, None]),
    pa.array(["ä", None], pa.large_string()),
    pa.array([b"\xff", None]),
    pa.array([Decimal("1.50"), None], pa.decimal128(12, 2)),
    pa.array([Decimal("-1.5")], pa.decimal256(76, 38)),
    pa.array([18262, None], pa.date32()),
    pa.array([datetime.date(2020, 1, 1)], pa.date64()),
    pa.array([1, None], pa.time32("s")),
    pa.array([1, None], pa.time64("us")),
    pa.array([1_234_567_890_123, None], pa.time64("ns")),
    pa.array([1, 1_700_000_000_123_456, None], pa.timestamp("us")),
    # The hour that comes twice when summer time ends.
    pa.array([1_698_537_600_000_000, 1_698_541_200_000_000, None], BERLIN),
    pa.array([1_700_000_000, None], pa.timestamp("s", tz="+02:00")),
    pa.array([1_700_000_000_123_456_789, None], NS),
    pa.array([5, None], pa.duration("ms")),
    pa.array([5, None], pa.duration("ns")),
    pa.array([[1, None], [], None], pa.list_(pa.int32())),
    pa.array([[1, 2], None], pa.list_(pa.timestamp("ns"), 2)),
    pa.array([[b"x"]], pa.large_list(pa.binary())),
    pa.array([{"a": 1, "b": ["x"]}, {"a": None, "b": None}, None]),
    pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.duration("ns"))),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.type))
def test_arrow_takes_the_python_values_back_unchanged(array):
    values = pickle.loads(pickle.dumps(python_values(array, array.type)))
    assert not any(isinstance(value, pa.Scalar) for value in values)
    [again] = pa.Table.from_pylist(
        [{"x": value} for value in values], pa.schema([("x", array.type)])
    ).columns
    assert again.combine_chunks().equals(array)


def test_values_in_a_wider_type():
    words = pa.array(["x", None]).dictionary_encode()
    assert python_values(words, pa.string()) == ["x", None]
    assert python_values(pa.array([1]), pa.decimal128(21, 2)) == [Decimal("1.00")]


def test_a_value_without_a_python_object_costs_itself_alone():
    bad = pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), pa.py_buffer(b"a\xe9bc")
    )
    first, second = python_values(bad, pa.string())
    assert isinstance(first, NotUtf8Error)
    assert str(first) == r"not UTF-8: a\xe9"
    assert second == "bc"
    far, near = python_values(pa.array([10**15, 0], pa.timestamp("s")), pa.timestamp("s"))
    assert isinstance(far, BadRowError)
    assert near == datetime.datetime(1970, 1, 1)
    lossy, exact = python_values(pa.array([2**53 + 1, 2**53]), pa.float64())
    assert isinstance(lossy, BadRowError)
    assert exact == 2.0**53


@pytest.mark.parametrize(
    ("cell", "kind", "value"),
    [
        ("", pa.string(), ""),
        (None, pa.string(), None),
        ("", pa.int64(), None),
        (None, pa.int64(), None),
        ("-5", pa.int64(), -5),
        ("1e3", pa.float64(), 1000.0),
        ("TRUE", pa.bool_(), True),
        ("2020-01-02", pa.date32(), datetime.date(2020, 1, 2)),
        ("1.5", pa.decimal128(5, 2), Decimal("1.50")),
        ("7", pa.int16(), 7),
    ],
)
def test_cells(cell, kind, value):
    assert from_text(kind)(cell) == value


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("x", pa.int64()),
        (str(2**63), pa.int64()),
        ("yes", pa.bool_()),
        ("x", pa.float64()),
        ("300", pa.int8()),
        ("x", pa.date32()),
    ],
)
def test_cells_that_do_not_fit(cell, kind):
    with pytest.raises(BadRowError) as raised:
        from_text(kind)(cell)
    assert str(raised.value) == f"{cell} does not fit {kind}"


def test_json_in_a_column_of_text():
    convert = from_json(pa.string())
    values = ["x", 1, None, True, {"b": ["é"]}, [1.5]]
    assert list(map(convert, values)) == ["x", "1", None, "true", '{"b": ["é"]}', "[1.5]"]
    with pytest.raises(NotUtf8Error):
        convert({"x": "\ud800"})


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (True, pa.int64(), BadRowError),
        (1.5, pa.int64(), BadRowError),
        ([1, 1.5], pa.list_(pa.int64()), BadRowError),
        (2**63, pa.int64(), BadRowError),
        (1, pa.string(), BadRowError),
        ("\udce9", pa.string(), NotUtf8Error),
        (["\udce9"], pa.list_(pa.string()), NotUtf8Error),
        ([["\udce9"]], pa.list_(pa.large_list(pa.string())), BadRowError),
        (1.5, pa.int8(), BadRowError),
        ("x", pa.list_(pa.string()), BadRowError),
        (2**53 + 1, pa.float64(), BadRowError),
        (2**5000, pa.float64(), BadRowError),
        (True, pa.float64(), BadRowError),
        (None, pa.list_(pa.string()), None),
        ([None, 2], pa.list_(pa.float64()), [None, 2.0]),
        ({"x": 1}, pa.struct([("x", pa.int8())]), {"x": 1}),
        (1, pa.float64(), 1.0),
        (["x", None], pa.list_(pa.string()), ["x", None]),
        (b"x", pa.binary(), b"x"),
        ("2020-01-01T02:03:04", pa.timestamp("us"), datetime.datetime(2020, 1, 1, 2, 3, 4)),
        (datetime.time(1), pa.time64("us"), datetime.time(1)),
    ],
)
def test_python_objects(value, kind, expected):
    if isinstance(expected, type):
        with pytest.raises(expected):
            from_python(kind)(value)
    else:
        assert from_python(kind)(value) == expected


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_int64_comes_back(number):
    assert from_text(pa.int64())(str(number)) == number


def test_times_with_a_zone_keep_it():
    [value] = python_values(pa.array([0], BERLIN), BERLIN)
    assert value.astimezone(UTC) == datetime.datetime(1970, 1, 1, tzinfo=UTC)
    assert value.utcoffset() == datetime.timedelta(hours=1)
