import gzip
import json

from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.inputs.rows import InputRow, Problem
from tests.beam_jobs.inputs.tables import good, outcomes, planned, rows_of, types_of

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
OBJECTS = st.dictionaries(st.sampled_from("abc"), SCALARS | st.lists(SCALARS, max_size=3))


def table(folder, *lines: object, name: str = "t.jsonl") -> str:
    parts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (folder / name).write_bytes(b"\n".join(parts))
    return f"{folder}/{name}"


def test_objects_by_their_members(tmp_path):
    path = table(
        tmp_path,
        b"\xef\xbb\xbf" + b'{"uri": " a.jpg", "id": 1}',
        b"  ",
        {"id": None, "uri": "b.jpg", "more": "x"},
        {"uri": "c.jpg"},
    )
    assert rows_of(path) == [
        InputRow(" a.jpg", (1, None), (0, 0)),
        InputRow("b.jpg", (None, "x"), (0, 1)),
        InputRow("c.jpg", (None, None), (0, 2)),
    ]


def test_the_columns_types(tmp_path):
    first = {
        "uri": "a",
        "i": 1,
        "f": 1,
        "b": True,
        "s": "x",
        "tags": ["x", None],
        "box": [1, 2.5],
        "none": None,
        "empty": [],
        "object": {"x": "é"},
        "mixed": 1,
        "big": 2**63,
        "deep": [[1]],
        "either": [1],
        "kinds": [1, "x"],
    }
    second = {"uri": "b", "f": 0.5, "mixed": "two", "either": 2}
    path = table(tmp_path, first, second)
    assert types_of(planned(path)) == {
        "i": "int64",
        "f": "double",
        "b": "bool",
        "s": "string",
        "tags": "list<item: string>",
        "box": "list<item: double>",
        "none": "string",
        "empty": "list<item: string>",
        "object": "string",
        "mixed": "string",
        "big": "string",
        "deep": "string",
        "either": "string",
        "kinds": "string",
    }
    one, two = good(rows_of(path))
    assert one == (
        *("a", 1, 1.0, True, "x", ["x", None], [1.0, 2.5], None, []),
        *('{"x": "é"}', "1", "9223372036854775808", "[[1]]", "[1]", '[1, "x"]'),
    )
    assert two == ("b", None, 0.5, *(None,) * 7, "two", None, None, "2", None)


def test_rows_that_are_no_good_are_problems_in_their_place(tmp_path):
    path = table(
        tmp_path,
        {"uri": "a.jpg"},
        b'{"uri": "b.jpg"',
        [1],
        {"id": 5},
        {"uri": None},
        {"uri": ""},
        {"uri": 7},
        b'{"uri": "caf\xe9.jpg"}',
        b'{"uri": "\\ud800"}',
        b"[" * 100_000,
        {"uri": "c.jpg"},
        name="t.ndjson",
    )
    rows = rows_of(path, carry_columns=())
    assert outcomes(rows, tmp_path) == [
        ("a.jpg", ""),
        ("t.ndjson#row=2", "BadRowError"),
        ("t.ndjson#row=3", "BadRowError"),
        ("t.ndjson#row=4", "MissingUriError"),
        ("t.ndjson#row=5", "MissingUriError"),
        ("t.ndjson#row=6", "MissingUriError"),
        ("t.ndjson#row=7", "BadRowError"),
        ("t.ndjson#row=8", "NotUtf8Error"),
        ("t.ndjson#row=9", "NotUtf8Error"),
        ("t.ndjson#row=10", "BadRowError"),
        ("c.jpg", ""),
    ]
    assert rows[2].problem == Problem("BadRowError", "line 3 is JSON, but no object: [1]")
    assert rows[6].problem == Problem("BadRowError", "the URI is not text: 7")


def test_a_column_with_another_name_and_compression(tmp_path):
    data = gzip.compress(b'{"url": "a.jpg", "uri": "x"}\n')
    (tmp_path / "t.jsonl.gz").write_bytes(data)
    spec = planned(tmp_path / "t.jsonl.gz", uri_column="url")
    assert types_of(spec) == {"uri": "string"}
    assert good(rows_of(tmp_path / "t.jsonl.gz", uri_column="url")) == [("a.jpg", "x")]


@given(st.lists(OBJECTS, max_size=4))
def test_every_object_is_a_row_and_every_value_fits(tmp_path_factory, objects):
    lines = [{"uri": f"{at}.jpg", **members} for at, members in enumerate(objects)]
    rows = rows_of(table(tmp_path_factory.mktemp("json"), *lines))
    assert [row.uri for row in rows] == [f"{at}.jpg" for at in range(len(objects))]


@given(st.lists(st.binary(max_size=30).filter(lambda line: line.strip() and b"\n" not in line)))
def test_any_bytes_give_a_row_for_each_line(tmp_path_factory, lines):
    rows = rows_of(table(tmp_path_factory.mktemp("json"), *lines))
    assert [row.position for row in rows] == [(0, at) for at in range(len(lines))]
