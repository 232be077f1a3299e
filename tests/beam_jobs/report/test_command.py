import json
from pathlib import Path

import pytest

from beam_jobs.outputs.formats import json_lines
from beam_jobs.report.command import main
from model_lib.errors import ConfigError
from tests.beam_jobs.run_folder import caption_row, failure_row, photo, write_tables

MANIFEST = {"run_id": "run-1", "settings": {"output_format": "parquet"}}


@pytest.fixture
def output(tmp_path) -> str:
    (tmp_path / "a.jpg").write_bytes(photo(1))
    rows = [caption_row(f"{tmp_path}/a.jpg"), *(caption_row(f"{at}.jpg") for at in range(9))]
    output = write_tables(tmp_path / "out", rows, [failure_row("x", "HttpStatusError")])
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(MANIFEST))
    return output


def test_the_report_of_a_finished_run_is_written_again(output, capsys):
    assert main([output]) == 0
    assert capsys.readouterr().out == f"{output}/report.html\n"
    page = Path(output, "report.html").read_text("utf-8")
    assert "<h1>10 photos captioned, 1 failed</h1>" in page
    assert page.count("data:image/jpeg;base64,") >= 1


def test_what_it_shows_can_be_chosen(output):
    words = ["--sample_size", "3", "--ranked_size=1", "--no_previews"]
    assert main([output, *words]) == 0
    page = Path(output, "report.html").read_text("utf-8")
    assert page.count('class="card"') == 3 + 1 + 1
    assert page.count("previews were not asked for") == 5
    assert "data:image/jpeg" not in page


@pytest.mark.parametrize("is_allowed", [False, True])
def test_addresses_that_are_not_public_are_read_where_that_is_allowed(tmp_path, web, is_allowed):
    output = write_tables(tmp_path, [caption_row(web.url("photo.jpg"))])
    (tmp_path / "manifest.json").write_text("{}")
    assert main([output, *["--allow_private_addresses"] * is_allowed]) == 0
    page = Path(output, "report.html").read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") == is_allowed


def test_tables_in_json_lines_give_the_same_page(output, tmp_path):
    main([output, "--no_previews"])
    expected = Path(output, "report.html").read_bytes()
    import pyarrow.parquet as pq

    for name in ("captions", "failures"):
        folder = Path(output, name)
        lines = b"".join(json_lines(pq.read_table(folder)))
        for file in folder.iterdir():
            file.unlink()
        (folder / "part-0.jsonl").write_bytes(lines)
    main([output, "--no_previews"])
    assert Path(output, "report.html").read_bytes() == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{0}/none"], "{0}/none: has no manifest.json, so no run has ended here"),
        (
            ["{0}", "--sample_size", "-1"],
            "--sample_size, --ranked_size and --attention are numbers",
        ),
        (["{0}", "--attention", "-1"], "--sample_size, --ranked_size and --attention are numbers"),
        (["{0}", "--sampel_size", "1"], "unexpected argument '--sampel_size'"),
        ([], "the following arguments are required: OUTPUT"),
    ],
)
def test_a_caller_s_mistake_is_said(tmp_path, words, message):
    with pytest.raises(ConfigError) as raised:
        main([word.format(tmp_path) for word in words])
    assert str(raised.value).startswith(message.format(tmp_path))
    assert not (tmp_path / "report.html").exists()
