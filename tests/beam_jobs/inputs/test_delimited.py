import csv
import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.inputs.rows import InputRow, Problem
from model_lib.errors import ConfigError
from tests.beam_jobs.inputs.tables import good, outcomes, planned, rows_of, types_of

# What UTF-8 can hold; Python 3.10's csv reads no NUL.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


def table(folder, content: str | bytes, name: str = "t.csv") -> str:
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    return f"{folder}/{name}"


def test_quotes_line_ends_and_a_byte_order_mark(tmp_path):
    path = table(
        tmp_path,
        '\ufeffuri , note\r\n a.jpg ,"say ""hi"", twice"\r\n\r\n"b.jpg","two\nlines\r\n"\r\nc.jpg,',
    )
    assert rows_of(path) == [
        InputRow("a.jpg", ('say "hi", twice',), (0, 0)),
        InputRow("b.jpg", ("two\nlines\r\n",), (0, 1)),
        InputRow("c.jpg", ("",), (0, 2)),
    ]


@pytest.mark.parametrize("name", ["t.tsv", "t.tsv.gz"])
def test_tabs_and_compression(tmp_path, name):
    content = b'uri\tnote\na.jpg\t1,5 "x\n'
    path = table(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    assert good(rows_of(path)) == [("a.jpg", '1,5 "x')]


def test_the_columns_types(tmp_path):
    path = table(
        tmp_path,
        "uri,id,zip,price,ok,mixed,long,none,exact,when\n"
        "a.jpg,1,007,1.50,true,1,9223372036854775808,,9007199254740993,2020-01-01\n"
        "b.jpg,-20,12,2,FALSE,x,1,,1,\n"
        "c.jpg,,,,,,,,,\n",
    )
    assert types_of(planned(path)) == {
        "id": "int64",
        "zip": "string",
        "price": "double",
        "ok": "bool",
        "mixed": "string",
        "long": "string",
        "none": "string",
        "exact": "int64",
        "when": "string",
    }
    long = "9223372036854775808"
    assert good(rows_of(path)) == [
        ("a.jpg", 1, "007", 1.5, True, "1", long, "", 9007199254740993, "2020-01-01"),
        ("b.jpg", -20, "12", 2.0, False, "x", "1", "", 1, ""),
        ("c.jpg", None, "", None, None, "", "", "", None, ""),
    ]


def test_rows_that_are_no_good_are_problems_in_their_place(tmp_path):
    lines = [
        b"uri,id",
        b"a.jpg,1",
        b",2",
        b"  ,3",
        b"caf\xe9.jpg,4",
        b"b.jpg",
        b"c.jpg,5,6",
        b'"d.jpg"x,7',
        b"e.jpg,8",
        b'"f.jpg,9',
    ]
    path = table(tmp_path, b"\n".join(lines))
    rows = rows_of(path)
    assert [(row.uri.removeprefix(path), row.carried, row.problem) for row in rows] == [
        ("a.jpg", (1,), None),
        ("#row=2", (2,), Problem("MissingUriError", "the row's URI is empty")),
        ("#row=3", (3,), Problem("MissingUriError", "the row's URI is empty")),
        ("#row=4", (4,), Problem("NotUtf8Error", r"not UTF-8: caf\udce9.jpg")),
        ("#row=5", (None,), Problem("BadRowError", "line 6: 1 cells, but the header has 2")),
        ("#row=6", (None,), Problem("BadRowError", "line 7: 3 cells, but the header has 2")),
        ("#row=7", (None,), Problem("BadRowError", "line 8: ',' expected after '\"'")),
        ("e.jpg", (8,), None),
        ("#row=9", (None,), Problem("BadRowError", "line 10: unexpected end of data")),
    ]


def test_a_quote_that_is_never_closed_costs_a_bounded_piece(tmp_path):
    lines = "".join(f"{number:06}.jpg,x\n" for number in range(50_000))
    path = table(tmp_path, f'uri,note\na.jpg,"x\n{lines}')
    bad, *rest = rows_of(path)
    assert bad.uri == f"{path}#row=1"
    assert bad.problem.message.startswith("lines 2 to ")
    assert bad.problem.message.endswith(": field larger than field limit (131072)")
    swallowed = 131_072 // len("000000.jpg,x\n") + 1
    assert good(rest) == [(f"{number:06}.jpg", "x") for number in range(swallowed, 50_000)]


def test_a_bad_byte_matters_only_where_it_is_needed(tmp_path):
    path = table(tmp_path, b"uri,note,id\na.jpg,\xff,1\n")
    assert good(rows_of(path, carry_columns=("id",))) == [("a.jpg", 1)]
    [row] = rows_of(path)
    assert row == InputRow(
        f"{path}#row=1",
        (None, 1),
        (0, 0),
        problem=Problem("NotUtf8Error", r"not UTF-8: \udcff; the row's image is a.jpg"),
    )


def test_a_value_that_no_longer_fits_its_type(tmp_path):
    path = table(tmp_path, "uri,id\na.jpg,1\n")
    spec = planned(path)
    table(tmp_path, "uri,id\na.jpg,x\n")
    from beam_jobs.inputs.reading import read_rows

    assert [row.problem for row in read_rows(spec)] == [
        Problem("BadRowError", "x does not fit int64; the row's image is a.jpg")
    ]


def test_a_compressed_file_cut_in_the_middle(tmp_path):
    lines = "".join(f"{number}.jpg,{number}\n" for number in range(100_000))
    data = gzip.compress(f"uri,id\n{lines}".encode())
    path = table(tmp_path, data[: len(data) // 2], "t.csv.gz")
    *rows, last = rows_of(path)
    assert good(rows) == [(f"{number}.jpg", number) for number in range(len(rows))]
    assert 10_000 < len(rows) < 90_000
    assert last.uri == f"{path}#row={len(rows) + 1}"
    assert last.problem == Problem(
        "DamagedInputError",
        "nothing can be read from here on: EOFError: Compressed file ended before the "
        "end-of-stream marker was reached",
    )


def test_a_column_without_a_name_has_its_number(tmp_path):
    path = table(tmp_path, ",uri\n5,a.jpg\n")
    assert types_of(planned(path)) == {"column_1": "int64"}


def test_a_column_that_is_there_twice(tmp_path):
    path = table(tmp_path, "uri,id,id\na.jpg,1,2\n")
    with pytest.raises(ConfigError, match="column 'id' is there more than once; rename one"):
        planned(path)
    assert good(rows_of(path, carry_columns=())) == [("a.jpg",)]


def test_a_cell_of_any_length_costs_one_row(tmp_path):
    path = table(tmp_path, f"uri,note\na.jpg,{'x' * 200_000}\nb.jpg,y\n")
    assert outcomes(rows_of(path), tmp_path) == [("t.csv#row=1", "BadRowError"), ("b.jpg", "")]


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_what_csv_writes_comes_back(tmp_path_factory, cells):
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["uri", "note"])
    writer.writerows([f"x{uri}x", f"s{note}"] for uri, note in cells)
    path = table(tmp_path_factory.mktemp("csv"), text.getvalue())
    assert good(rows_of(path)) == [(f"x{uri}x", f"s{note}") for uri, note in cells]


@given(st.binary(max_size=200))
def test_any_bytes_give_rows_and_never_raise(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("csv")
    for name in ("t.csv", "t.csv.gz"):
        rows = rows_of(table(folder, b"uri,note\n" + data, name))
        assert [row.position for row in rows] == [(0, at) for at in range(len(rows))]
        assert len({row.uri for row in rows if row.problem}) == sum(bool(r.problem) for r in rows)


@given(st.lists(st.lists(TEXT.filter(lambda text: text.strip()), min_size=1, max_size=4)))
def test_each_row_written_is_a_row_read(tmp_path_factory, cells):
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["uri", "note"], *cells])
    rows = rows_of(table(tmp_path_factory.mktemp("csv"), text.getvalue()))
    assert [row.problem is None for row in rows] == [len(row) == 2 for row in cells]


def test_a_bad_row_says_what_is_wrong_in_utf_8(tmp_path):
    path = table(tmp_path, b"uri\n\xff\xfe\n")
    [row] = rows_of(path)
    json.dumps(row).encode()
    assert row.problem == Problem("NotUtf8Error", r"not UTF-8: \udcff\udcfe")
