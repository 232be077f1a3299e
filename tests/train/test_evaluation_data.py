"""Finished runs and a file of references: what belongs together, and what does not."""

import hashlib
import json
import logging
from pathlib import Path

import pytest

from tests.beam_jobs.run_folder import caption_row, write_tables
from train.errors import EvaluationError
from train.evaluation_data import match_runs

REFERENCES = {"a.jpg": ["a dog"], "gs://b/b.jpg": ["a cat", "a black cat"], "c.jpg": ["a boat"]}


@pytest.fixture
def references(tmp_path):
    path = tmp_path / "truth.jsonl"
    rows = [{"image_id": image, "captions": texts} for image, texts in REFERENCES.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run(folder, **captions):
    """A job's output folder with captions by file name of photos in `folder`."""
    rows = [
        caption_row(uri.replace("_jpg", ".jpg"), caption=text) for uri, text in captions.items()
    ]
    for row in rows:
        row["uri"] = f"{folder}/photos/{row['uri']}"
    return write_tables(folder, rows)


def test_two_runs_are_scored_on_the_images_that_both_have(tmp_path, references, caplog):
    first = run(tmp_path / "1", b_jpg="cat", a_jpg="dog", x_jpg="x")
    second = run(tmp_path / "2", c_jpg="boat", b_jpg="a kitten", a_jpg="a puppy")
    with caplog.at_level(logging.WARNING, "train"):
        data = match_runs(references, {"one": first, "two": second})
    assert data.references == {name: REFERENCES[name] for name in ("a.jpg", "gs://b/b.jpg")}
    assert [(one.label, one.captions) for one in data.candidates] == [
        ("one", {"a.jpg": "dog", "gs://b/b.jpg": "cat"}),
        ("two", {"a.jpg": "a puppy", "gs://b/b.jpg": "a kitten"}),
    ]
    assert data.about == {
        "data": None,
        "split": None,
        "references": references,
        "data_fingerprint": hashlib.sha256(Path(references).read_bytes()).hexdigest(),
        "matching": {
            "reference_images": 3,
            "scored_images": 2,
            "reference_images_without_caption": 1,
            "captions_without_references": {"one": 1, "two": 0},
        },
    }
    assert [record.getMessage() for record in caplog.records] == [
        "1 of 3 images with references have no caption and are not scored",
        "one: 1 captions have no references and are not scored",
    ]


def test_a_limit_keeps_the_first_of_the_references(tmp_path, references, caplog):
    output = run(tmp_path / "1", c_jpg="boat", b_jpg="cat", a_jpg="dog")
    data = match_runs(references, {"one": output}, limit=2)
    assert list(data.references) == ["a.jpg", "gs://b/b.jpg"]
    assert data.about["matching"]["scored_images"] == 2
    assert data.about["matching"]["reference_images_without_caption"] == 0
    assert caplog.records == []


def test_photos_on_this_machine_are_read(tmp_path, references):
    output = run(tmp_path / "1", a_jpg="dog", b_jpg="cat")
    (tmp_path / "1" / "photos").mkdir()
    (tmp_path / "1" / "photos" / "a.jpg").write_bytes(b"bytes")
    data = match_runs(references, {"one": output})
    assert data.read_photos(list(data.references)) == {"a.jpg": b"bytes"}


def test_nothing_in_common_is_a_named_error(tmp_path, references):
    output = run(tmp_path / "1", x_jpg="x")
    with pytest.raises(EvaluationError) as error:
        match_runs(references, {"one": output})
    assert str(error.value) == (
        f"no image of the references {references} (3, such as a.jpg) has a caption in {output} "
        f"(1, such as {tmp_path}/1/photos/x.jpg); name images by the same URIs or file names"
    )


def test_a_file_name_that_does_not_decide_names_the_run(tmp_path, references):
    output = run(tmp_path / "1", a_jpg="dog")
    path = tmp_path / "2"
    write_tables(path, [caption_row("/p/a.jpg"), caption_row("/q/a.jpg")])
    with pytest.raises(EvaluationError, match=r"a\.jpg is that of 2 images of .*/2 \(/p/a\.jpg, /"):
        match_runs(references, {"one": output, "two": str(path)})
