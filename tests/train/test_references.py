"""References in every kind of file, and which images they belong to."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from train.errors import EvaluationError
from train.references import match_images, read_references

EXPECTED = {"gs://b/ä.jpg": ["a dog", "a black dog"], "b.jpg": ["a cat"]}


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_json_lines(tmp_path):
    rows = [
        {"uri": "gs://b/ä.jpg", "captions": ["a  dog ", " "], "other": 1},
        {"file_name": "b.jpg", "text": "a cat"},
        {"image_id": "gs://b/ä.jpg", "caption": "a black dog"},
        {"image_id": "blank.jpg", "caption": " "},
    ]
    text = "\n\n".join(json.dumps(row) for row in rows)
    found = read_references(write(tmp_path / "r.jsonl", "\ufeff" + text))
    assert found == EXPECTED
    assert list(found) == list(EXPECTED)


def test_csv(tmp_path):
    text = 'caption,uri\r\na dog,gs://b/ä.jpg\r\n"a cat",b.jpg\r\na black dog,gs://b/ä.jpg\r\n'
    assert read_references(write(tmp_path / "r.csv", text)) == EXPECTED


@pytest.mark.parametrize("lists", [True, False])
def test_parquet(tmp_path, lists):
    if lists:
        columns = {"image_id": list(EXPECTED), "captions": list(EXPECTED.values()), "n": [1, 2]}
    else:
        pairs = [(image, text) for image, texts in EXPECTED.items() for text in texts]
        columns = {"uri": [image for image, _ in pairs], "caption": [text for _, text in pairs]}
    pq.write_table(pa.table(columns), tmp_path / "r.parquet")
    assert read_references(tmp_path / "r.parquet") == EXPECTED


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "r.jsonl",
            '{"uri": "a", "caption": "x"}\n{"uri": "a"}',
            "r.jsonl:2: expected an image, a",
        ),
        ("r.jsonl", '{"uri": 7, "caption": "x"}', "in one of uri, image_id, file_name, image, and"),
        ("r.jsonl", '{"uri": "a", "caption": ["x", 1]}', "r.jsonl:1: expected"),
        ("r.jsonl", '{"uri"', "r.jsonl:1: not JSON: "),
        ("r.jsonl", "[1]", "r.jsonl:1: not a JSON object: '[1]'"),
        ("r.jsonl", "", "r.jsonl hold no caption"),
        ("r.csv", "name,words\na,b\n", "r.csv:2: expected an image"),
        ("r.parquet", "words", "r.parquet cannot be read: "),
        ("r.txt", "a\tb", "r.txt: unknown kind '.txt'; expected .jsonl, .json, .csv, .parquet"),
    ],
)
def test_files_that_make_no_sense_are_refused(tmp_path, name, text, message):
    with pytest.raises(EvaluationError, match=re.escape(message)):
        read_references(write(tmp_path / name, text))


def test_a_missing_file_is_a_named_error(tmp_path):
    with pytest.raises(EvaluationError, match=r"nowhere\.csv cannot be read"):
        read_references(tmp_path / "nowhere.csv")


def test_images_are_matched_by_name_then_by_base_name():
    images = ["gs://b/x/1.jpg", "/p/2.jpg", "3.jpg", "/q/5.jpg", "9.jpg"]
    references = ["5.jpg", "3.jpg", "1.jpg", "/p/2.jpg", "4.jpg"]
    assert list(match_images(images, references, "run").items()) == [
        ("5.jpg", "/q/5.jpg"),
        ("3.jpg", "3.jpg"),
        ("1.jpg", "gs://b/x/1.jpg"),
        ("/p/2.jpg", "/p/2.jpg"),
    ]


def test_a_name_decides_where_base_names_are_equal():
    assert match_images(["/a/1.jpg", "/b/1.jpg"], ["/a/1.jpg"], "run") == {"/a/1.jpg": "/a/1.jpg"}
    assert match_images(["/a/1.jpg", "/b/1.jpg"], ["/a/1.jpg", "1.jpg"], "run") == {
        "/a/1.jpg": "/a/1.jpg",
        "1.jpg": "/b/1.jpg",
    }


@pytest.mark.parametrize(
    ("images", "references", "message"),
    [
        (["/a/1.jpg", "/b/1.jpg"], ["1.jpg"], "1.jpg is that of 2 images of run (/a/1.jpg, /b/1"),
        (["/a/1.jpg"], ["x/1.jpg", "y/1.jpg"], "is that of 2 references (x/1.jpg, y/1.jpg), so"),
        (
            ["/a/1.jpg", "/b/1.jpg"],
            ["x/1.jpg", "y/1.jpg"],
            "2 images of run (/a/1.jpg, /b/1.jpg) and of 2 references (x/1.jpg, y/1.jpg)",
        ),
    ],
)
def test_base_names_that_do_not_decide_are_refused(images, references, message):
    with pytest.raises(EvaluationError, match=re.escape(message)):
        match_images(images, references, "run")


def test_equal_base_names_without_partner_do_no_harm():
    assert match_images(["/a/1.jpg", "/b/1.jpg", "2.jpg"], ["2.jpg"], "run") == {"2.jpg": "2.jpg"}
