import math

import numpy as np
import pytest

from beam_jobs.report import data as report_data
from beam_jobs.report.data import (
    CaptionedPhoto,
    FailureExample,
    FailureGroup,
    confidence,
    summarize_captions,
    summarize_failures,
)
from tests.beam_jobs.run_folder import caption_row, failure_row, write_tables


def summarize(output, sample_size=4, ranked_size=2, seed=0):
    return summarize_captions(output, sample_size=sample_size, ranked_size=ranked_size, seed=seed)


def test_reads_a_whole_row(tmp_path):
    candidates = [
        {"caption": "a cat", "log_prob": -2.0, "score": -0.5},
        {"caption": "a dog", "log_prob": -3.0, "score": -0.75},
    ]
    row = caption_row("gs://b/x/cat.png?v=1", b"123", caption="a cat", candidates=candidates)
    [photo] = summarize(write_tables(tmp_path, [row])).sample
    assert photo == CaptionedPhoto(
        uri="gs://b/x/cat.png?v=1",
        image_sha256="a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3",
        caption="a cat",
        score=-0.5,
        confidence=math.exp(-0.5),
        alternatives=("a dog",),
        num_tokens=4,
        finished=True,
        sentence="",
        low_confidence=False,
        width=400,
        height=300,
        format="jpeg",
        size_bytes=3,
    )
    assert photo.name == "cat.png"


@pytest.mark.parametrize(
    ("uri", "name"),
    [("/a/b.jpg", "b.jpg"), ("C:\\x\\y.jpg", "y.jpg"), ("https://h/d/?q=1", "d"), ("/", "/")],
)
def test_name_is_the_last_part_of_the_uri(uri, name):
    assert CaptionedPhoto.from_row(caption_row(uri)).name == name


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.0, 1.0), (-1.0, math.exp(-1)), (0.5, 1.0), (None, None), (math.nan, None)],
)
def test_confidence_of_a_score(score, expected):
    assert confidence(score) == expected
    assert confidence(score, 0.7) == 0.7


def test_the_column_confidence_is_taken_where_it_is_filled(tmp_path):
    rows = [caption_row("a.jpg", confidence=0.75), caption_row("b.jpg", score=-1.0)]
    summary = summarize(write_tables(tmp_path, rows))
    assert [photo.confidence for photo in summary.sample] == [0.75, math.exp(-1)]
    assert summary.confidences.mean == pytest.approx((0.75 + math.exp(-1)) / 2)


def test_ranks_by_score_and_the_lists_never_overlap(tmp_path):
    scores = [-0.1, -0.9, -0.3, -0.7, math.nan, -0.5, -0.2, -0.8, -math.inf, -0.4]
    rows = [caption_row(f"{at}.jpg", score=score) for at, score in enumerate(scores)]
    summary = summarize(write_tables(tmp_path, rows), ranked_size=12)
    assert [photo.score for photo in summary.most_confident] == [-0.1, -0.2]
    assert [photo.score for photo in summary.least_confident] == [-0.9, -0.8]
    assert summary.total == 10
    assert summary.scores.total == 8
    assert summary.scores.mean == pytest.approx(-0.4875)
    assert summary.confidences.total == 8
    assert summary.confidences.mean == pytest.approx(
        np.mean(np.exp([-0.1, -0.9, -0.3, -0.7, -0.5, -0.2, -0.8, -0.4]))
    )


def test_equal_scores_are_ranked_by_uri(tmp_path):
    rows = [caption_row(f"{at:02}.jpg") for at in reversed(range(20))]
    summary = summarize(write_tables(tmp_path, rows), ranked_size=3)
    assert [photo.uri for photo in summary.most_confident] == ["00.jpg", "01.jpg", "02.jpg"]


def test_counts_words_and_cut_captions(tmp_path):
    rows = [
        caption_row("a", num_tokens=9, finished=True),
        caption_row("b", num_tokens=9, finished=False),
        caption_row("c", num_tokens=90, finished=True),
    ]
    summary = summarize(write_tables(tmp_path, rows))
    assert summary.unfinished == 1
    assert {at: n for at, n in enumerate(summary.words.counts.tolist()) if n} == {8: 1, 9: 1, 32: 1}


def test_counts_captions_of_low_confidence_and_those_that_were_judged(tmp_path):
    rows = [caption_row(f"{at}", low_confidence=low) for at, low in enumerate([True, False, None])]
    summary = summarize(write_tables(tmp_path, rows))
    assert (summary.judged, summary.doubtful) == (2, 1)
    assert [photo.low_confidence for photo in summary.sample] == [True, False, False]


def test_the_sentence_is_shown_where_there_is_one(tmp_path):
    rows = [caption_row("a", sentence="A dog runs."), caption_row("b")]
    summary = summarize(write_tables(tmp_path, rows))
    assert [(photo.text, photo.caption) for photo in summary.sample] == [
        ("A dog runs.", "a dog runs"),
        ("a dog runs", "a dog runs"),
    ]


def test_the_sample_depends_on_seed_and_rows_but_not_on_files(tmp_path, monkeypatch):
    rows = [caption_row(f"{at:03}.jpg") for at in range(200)]
    first = write_tables(tmp_path / "first", rows, num_files=1)
    expected = summarize(first, sample_size=20)
    monkeypatch.setattr(report_data, "BATCH_ROWS", 7)
    second = write_tables(tmp_path / "second", rows[::-1], num_files=5)
    assert summarize(second, sample_size=20).sample == expected.sample
    assert len({photo.uri for photo in expected.sample}) == 20
    assert [photo.uri for photo in expected.sample] == sorted(p.uri for p in expected.sample)
    assert summarize(first, sample_size=20, seed=1).sample != expected.sample


def test_every_row_is_drawn_about_equally_often(tmp_path):
    output = write_tables(tmp_path, [caption_row(f"{at}.jpg") for at in range(20)])
    drawn = [
        p.uri for seed in range(100) for p in summarize(output, seed=seed, sample_size=5).sample
    ]
    counts = [drawn.count(f"{at}.jpg") for at in range(20)]
    assert sum(counts) == 500
    # Binomial(100, 1/4): 25 with a deviation of 4.3; the bounds are 3.5 deviations away.
    assert min(counts) >= 10
    assert max(counts) <= 40


def test_a_run_without_rows_is_empty(tmp_path):
    summary = summarize(str(tmp_path))
    assert (summary.total, summary.unfinished, summary.sample) == (0, 0, ())
    assert summarize_failures(str(tmp_path), examples=5).groups == ()


def test_groups_failures_largest_first_with_examples_by_uri(tmp_path):
    rows = [failure_row(f"{at:03}.jpg") for at in reversed(range(300))]
    rows.append(
        failure_row(
            "x", "HttpStatusError", stage="read", error_message="404", attempts=3, transient=True
        )
    )
    summary = summarize_failures(write_tables(tmp_path, [], rows), examples=2)
    assert summary.total == 301
    assert summary.groups == (
        FailureGroup(
            "decode",
            "TruncatedImageError",
            300,
            0,
            (
                FailureExample("000.jpg", "ends early", 1),
                FailureExample("001.jpg", "ends early", 1),
            ),
        ),
        FailureGroup("read", "HttpStatusError", 1, 1, (FailureExample("x", "404", 3),)),
    )


def test_the_number_of_failure_groups_is_bounded(tmp_path):
    rows = [failure_row(f"{at}.jpg", f"Error{at}") for at in range(80)]
    summary = summarize_failures(write_tables(tmp_path, [], rows), examples=2)
    assert len(summary.groups) == report_data.MAX_FAILURE_GROUPS + 1
    assert (summary.groups[0].error_type, summary.groups[0].count) == ("all further kinds", 30)
    assert summary.total == 80
