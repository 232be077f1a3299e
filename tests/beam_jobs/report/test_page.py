import numpy as np
import pytest

from beam_jobs.report.attention import AttentionPicture
from beam_jobs.report.data import CaptionedPhoto, CaptionSummary, FailureSummary
from beam_jobs.report.histogram import Histogram
from beam_jobs.report.page import render_report
from beam_jobs.report.thumbnails import Thumbnail
from tests.beam_jobs.run_folder import caption_row

NO_FAILURES = FailureSummary(0, ())


def summary(*rows):
    photos = tuple(CaptionedPhoto.from_row(row) for row in rows)
    scores, confidences = Histogram(-6, 0, 48), Histogram(0, 1, 25)
    confidences.add(np.array([p.confidence for p in photos if p.confidence is not None]))
    unfinished = sum(not photo.finished for photo in photos)
    words = Histogram(-0.5, 32.5, 33)
    judged = [row["low_confidence"] for row in rows if row["low_confidence"] is not None]
    of_rows = (len(photos), unfinished, scores, confidences, words, photos, (), ())
    return CaptionSummary(*of_rows, judged=len(judged), doubtful=sum(judged))


def render(manifest, *rows):
    thumbnails = {row["uri"]: Thumbnail(problem="gone") for row in rows}
    return render_report(manifest, summary(*rows), NO_FAILURES, thumbnails)


def test_a_manifest_without_anything_is_enough():
    page = render({})
    assert "<h1>0 photos captioned</h1>" in page
    assert "Every input has a caption." not in page
    assert "There were no inputs." in page


def test_shows_unknown_parts_of_the_manifest_as_tables():
    page = render({"new_part": {"some_key": [1, 2.5, True], "deep": {"er": "x"}}, "none": None})
    assert "<h3>New part</h3>" in page
    assert "<dt>Some key</dt><dd>1, 2.5, yes</dd>" in page
    assert "<dt>Deep: er</dt><dd>x</dd>" in page
    assert "<dt>None</dt>" not in page


def test_shows_long_lists_in_short():
    page = render({"settings": {"input": [f"{at}.jpg" for at in range(1000)]}})
    assert "<dd>0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 995 more</dd>" in page


def test_head_shows_time_speed_and_model():
    page = render(
        {
            "run_id": "run-1",
            "started_at": "2025-11-23T02:41:07.123456+00:00",
            "elapsed_secs": 73.4,
            "images_per_sec": 41.32,
            "bundle": {"name": "toy", "fingerprint": "0123456789abcdef"},
        },
        caption_row("a.jpg", score=-0.5, finished=False),
    )
    for text in (
        "<dt>Time</dt><dd>1 min 13 s</dd>",
        "<dt>Images a second</dt><dd>41.3</dd>",
        "<dt>Mean confidence</dt><dd>61%</dd>",
        "<dt>Cut short</dt><dd>1 <small>length limit</small></dd>",
        "by <strong>toy</strong>",
        ">0123456789ab</code>",
        "2025-11-23 02:41:07 UTC",
        "<title>1 photo captioned (run run-1)</title>",
    ):
        assert text in page


def test_head_counts_captions_of_low_confidence():
    manifest = {"settings": {"min_score": -1.5}}
    rows = [caption_row(f"{at}.jpg", low_confidence=at < 1) for at in range(4)]
    page = render(manifest, *rows)
    tile = "<dt>Low confidence</dt><dd>1 <small>25%, score below \u22121.5</small></dd>"
    assert tile in page
    assert page.count('<span class="badge">low confidence</span>') == 1
    assert page.count('<li class="card low">') == 1
    assert 'id="only-low"' in page
    none = render(manifest, caption_row("a.jpg", low_confidence=False))
    assert "<dd>0 <small>score below \u22121.5</small></dd>" in none
    for other in (none, render({}, caption_row("a.jpg"))):
        assert 'id="only-low"' not in other
        assert 'class="badge"' not in other
    assert "Low confidence" not in render({}, caption_row("a.jpg"))


def test_cards_show_the_sentence_and_keep_the_caption_as_a_tooltip():
    page = render({}, caption_row("a.jpg", caption='a "dog"', sentence='A "dog".'))
    assert '<p class="caption" dir="auto" title="a &#34;dog&#34;">A &#34;dog&#34;.</p>' in page
    assert 'aria-label="A &#34;dog&#34;. (no preview)"' in page
    assert 'title="a dog' not in render({}, caption_row("b.jpg"))


def test_shows_attention_or_why_there_is_none():
    rows = [caption_row("a.jpg"), caption_row("b.jpg", caption="<b>")]
    photos = [CaptionedPhoto.from_row(row) for row in rows]
    pictures = [
        AttentionPicture(photos[0], "data:image/jpeg;base64,AA", 30, 20),
        AttentionPicture(photos[1], problem="gone <i>"),
    ]
    thumbnails = {row["uri"]: Thumbnail(problem="gone") for row in rows}
    page = render_report({}, summary(*rows), NO_FAILURES, thumbnails, pictures)
    assert '<img src="data:image/jpeg;base64,AA" width="30" height="20"' in page
    assert '<p class="hint">gone &lt;i&gt;</p>' in page
    assert '<a class="words" href="#attention-2">' in page
    assert "2 photos of the sample" in page
    assert 'id="attention"' not in render({}, *rows)


def test_warns_where_the_run_did_not_succeed():
    page = render(
        {
            "status": "too_many_failures",
            "settings": {"max_failure_rate": 0.05},
            "mismatches": ["3 captions counted, 2 written"],
        }
    )
    assert "The numbers do not add up: 3 captions counted, 2 written." in page
    assert "More of the inputs failed than --max_failure_rate (5%) allows." in page
    assert 'role="alert"' not in render({"status": "succeeded", "mismatches": []})


@pytest.mark.parametrize(
    "words",
    [
        ["--s3_secret_access_key=SESAME", "--s3_access_key_id=SESAME"],
        ["--s3_secret_access_key", "SESAME", "--password", "SESAME"],
        ["--api_key='SESAME'"],
    ],
)
def test_hides_secrets_in_command_and_manifest(words):
    manifest = {"command_line": ["caption-images", *words], "options": {"s3_token": "SESAME"}}
    page = render({**manifest, "text": " ".join(words)})
    assert "SESAME" not in page
    assert "HIDDEN" in page


def test_does_not_hide_what_only_sounds_like_a_secret():
    page = render({"command_line": ["x", "--max_length_tokens=30", "--bundle", "b"]})
    assert "<pre>x --max_length_tokens=30 --bundle b</pre>" in page


def test_says_why_there_is_no_preview_no_score_and_no_caption():
    page = render({}, caption_row("a.jpg", caption="", score=float("nan")))
    assert "<span>gone</span>" in page
    assert "<em>empty caption</em>" in page
    assert "no score" in page


def test_the_command_is_quoted_as_a_shell_needs_it():
    page = render({"command_line": ["caption-images", "--input", "my photos/*.jpg"]})
    assert "<pre>caption-images --input &#39;my photos/*.jpg&#39;</pre>" in page


def test_shows_the_runs_and_how_long_the_last_one_s_stages_took():
    times = {"count": 1000, "mean": 12.34, "min": 1.0, "max": 1500.0, "p50": 9.8, "p95": 40.0}
    manifest = {
        "metrics": {
            "latency_ms": {"read": times, "other": times},
            "images_per_sec": {"whole_run": 58.04, "captioning": None},
            "peak_memory_bytes": {"launcher": 812_345_678, "worker": None},
        },
        "runs": [
            {
                "run_id": "r1",
                "started_at": "2026-01-02T03:04:05.1+00:00",
                "finished_at": None,
                "command_line": ["--input", "my photos"],
                "captions": 1234,
                "failures": 5,
            }
        ],
    }
    page = render(manifest)
    for text in (
        '<th scope="row">Read an image</th><td class="spare">1,000</td><td>9.80 ms</td>'
        '<td>40.0 ms</td><td class="spare">12.3 ms</td><td>1.5 s</td>',
        '<th scope="row">other</th>',
        "<dt>Images a second, whole run</dt><dd>58.0</dd>",
        "<dt>Most memory of the launcher</dt><dd>812 MB</dd>",
        '<h3><code>r1</code> <span class="result">1,234 captions, 5 failures</span></h3>',
        "2026-01-02 03:04:05 UTC, not finished",
        "--input &#39;my photos&#39;",
        '<a href="#runs">Runs and speed</a>',
    ):
        assert text in page
    assert "Images a second while captioning" not in page
    assert "<h3>Metrics</h3>" not in page


def test_names_the_files_of_the_format_that_was_written():
    assert "captions/*.parquet and failures/*.parquet" in render({})
    assert "captions/*.jsonl and failures/*.jsonl" in render(
        {"settings": {"output_format": "jsonl"}}
    )
