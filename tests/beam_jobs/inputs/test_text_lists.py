import gzip

from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.inputs.rows import InputRow, Problem
from tests.beam_jobs.inputs.tables import outcomes, rows_of


def test_a_list_has_one_uri_a_line(tmp_path):
    for name in ("deep/photo[1].jpg", "deep/er/c.webp", "a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    lines = [
        "\ufeffgone.jpg\r",
        "# a comment",
        "",
        "  gs://bucket/a b.jpg  ",
        "https://example.org/x?y=*",
        "photo[1].jpg",
        f"{tmp_path}/deep/",
        f"{tmp_path}/*.png",
        "none/*.jpg",
        "nosuch://bucket/*.jpg",
        "gone.jpg",
    ]
    path = tmp_path / "list.txt"
    path.write_bytes("\n".join(lines).encode() + b"\n# caf\xe9\n caf\xe9.jpg")
    rows = rows_of(f"@{path}")
    expected = [
        "gone.jpg",
        "gs://bucket/a b.jpg",
        "https://example.org/x?y=*",
        "photo[1].jpg",
        f"{tmp_path}/deep/photo[1].jpg",
        f"{tmp_path}/deep/er/c.webp",
        f"{tmp_path}/a.png",
        "none/*.jpg",
        "nosuch://bucket/*.jpg",
        "gone.jpg",
    ]
    assert rows[:-1] == [InputRow(uri, (), (0, at)) for at, uri in enumerate(expected)]
    assert rows[-1] == InputRow(
        f"{path}#row=11",
        (),
        (0, 10),
        problem=Problem("NotUtf8Error", r"line 13 is not UTF-8: caf\xe9.jpg"),
    )


def test_a_list_by_format_and_compressed(tmp_path, monkeypatch):
    (tmp_path / "list.csv").write_text("a,b.jpg\n")
    (tmp_path / "list.txt.gz").write_bytes(gzip.compress(b"c.jpg\n"))
    monkeypatch.chdir(tmp_path)
    assert outcomes(rows_of("list.csv", input_format="text")) == [("a,b.jpg", "")]
    assert outcomes(rows_of("@list.txt.gz")) == [("c.jpg", "")]


@given(st.lists(st.binary(max_size=12)))
def test_any_bytes_lose_no_line(tmp_path_factory, lines):
    # No comment, blank line, folder or glob: each line is then one row.
    lines = [b"x" + line.translate(None, b"\n\r*/") + b"x" for line in lines]
    path = tmp_path_factory.mktemp("list") / "list.txt"
    path.write_bytes(b"\n".join(lines))
    rows = rows_of(f"@{path}")
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        assert row.problem or row.uri == line.decode()
