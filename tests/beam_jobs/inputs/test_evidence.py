import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.inputs.evidence import Evidence
from beam_jobs.inputs.values import from_json, from_text


def type_of_cells(*cells: str) -> pa.DataType:
    evidence = Evidence()
    for cell in cells:
        evidence.add_cell(cell)
    return evidence.type()


def type_of_values(*values: object) -> pa.DataType:
    evidence = Evidence()
    for value in values:
        evidence.add_value(value)
    return evidence.type()


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ((), "null"),
        (("", ""), "null"),
        (("0", "-12", ""), "int64"),
        (("9223372036854775807", "-9223372036854775808"), "int64"),
        (("9223372036854775808",), "string"),
        (("123456789012345678901234567890",), "string"),
        (("007",), "string"),
        (("-0",), "string"),
        (("+5",), "string"),
        (("1_000",), "string"),
        ((" 1",), "string"),
        (("\u0661",), "string"),
        (("1", "0.5"), "double"),
        (("1e5", ".5", "5.", "-0.0", "nan", "-inf"), "double"),
        (("007.5",), "string"),
        (("1e999",), "string"),
        # A float could not hold the first one exactly.
        (("9007199254740993", "0.5"), "string"),
        (("true", "False", "TRUE"), "bool"),
        (("true", "1"), "string"),
        (("yes",), "string"),
        (("1", "x", "2"), "string"),
        (("2020-01-01",), "string"),
    ],
)
def test_cells(cells, expected):
    assert str(type_of_cells(*cells)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), "null"),
        ((None,), "null"),
        ((True, None), "bool"),
        ((1, -(2**63)), "int64"),
        ((2**63,), "string"),
        ((1, 0.5), "double"),
        ((2**53 + 1, 0.5), "string"),
        ((True, 1), "string"),
        (("x", 1), "string"),
        (({"x": 1},), "string"),
        (([], None), "list<item: null>"),
        (([1], [None, 0.5]), "list<item: double>"),
        ((["x"], []), "list<item: string>"),
        (([1, "x"],), "string"),
        (([[1]],), "string"),
        (([{}],), "string"),
        (([1], 1), "string"),
    ],
)
def test_json_values(values, expected):
    assert str(type_of_values(*values)) == expected


@given(st.lists(st.sampled_from(["0", "7", "-3", "0.5", "1e3", "true", "x", "", "007", "5."])))
def test_the_type_holds_every_cell(cells):
    kind = type_of_cells(*cells)
    kind = pa.string() if kind == pa.null() else kind
    pa.array([from_text(kind)(cell) for cell in cells], kind)


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.lists(st.integers())))
def test_the_type_holds_every_value(values):
    kind = type_of_values(*values)
    kind = pa.string() if "null" in str(kind) else kind
    pa.array([from_json(kind)(value) for value in values], kind)
