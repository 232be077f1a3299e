import json

from beam_jobs.outputs import journal
from beam_jobs.outputs.journal import Part
from beam_jobs.records import CAPTIONS, FAILURES
from beam_jobs.tally import FailureKind, Files, tally
from tests.beam_jobs.run_folder import caption_row, failure_row

TIMEOUT = FailureKind("read", "FetchTimeoutError", True)
TRUNCATED = FailureKind("decode", "TruncatedImageError", False)


def captions(output, run_id, uris) -> Part:
    return journal.commit(str(output), CAPTIONS, run_id, [caption_row(uri) for uri in uris])


def failures(output, run_id, uris, kind=TRUNCATED) -> Part:
    rows = [failure_row(uri, run_id=run_id, **kind._asdict()) for uri in uris]
    return journal.commit(str(output), FAILURES, run_id, rows)


def test_an_image_counts_once_whatever_repeats(tmp_path):
    old = Files([captions(tmp_path, "r1", "ab")], [failures(tmp_path, "r1", "xyz")])
    new = Files(
        [
            captions(tmp_path, "r2", "bcd"),
            captions(tmp_path, "r2", "de"),
            captions(tmp_path, "r3", "x"),
        ],
        [failures(tmp_path, "r2", "yuv"), failures(tmp_path, "r3", "vba")],
    )
    found = tally(old, new)
    assert (found.captions, found.new_captions) == (6, 4)  # a b c d e x
    assert (found.failures, found.new_failures) == (4, 2)  # y z u v
    assert found.failures_by_kind == {TRUNCATED: 4}
    assert found.committed_rows == {"r2": (5, 3), "r3": (1, 3)}


def test_the_failure_of_the_latest_run_tells_the_kind(tmp_path):
    parts = [
        failures(tmp_path, "r2", "ab", TIMEOUT),
        failures(tmp_path, "r3", "b"),
        failures(tmp_path, "r1", "abc"),
    ]
    for files in (parts, parts[::-1]):
        found = tally(Files(), Files((), files))
        assert found.failures_by_kind == {TRUNCATED: 2, TIMEOUT: 1}
        assert found.transient_failures == 1


def test_kinds_are_listed_most_first(tmp_path):
    other = FailureKind("read", "HttpStatusError", False)
    parts = [
        failures(tmp_path, "r1", "a", other),
        failures(tmp_path, "r1", "bcd", TIMEOUT),
        failures(tmp_path, "r1", "e", TRUNCATED),
    ]
    found = tally(Files((), parts), Files())
    assert list(found.failures_by_kind.items()) == [(TIMEOUT, 3), (TRUNCATED, 1), (other, 1)]


def test_published_json_lines_and_older_tables_count_too(tmp_path):
    rows = [caption_row("a"), caption_row("b")]
    lines = [json.dumps(row, default=str) for row in rows]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    older = failure_row("c")
    older.pop("transient")
    (tmp_path / "y.jsonl").write_text(json.dumps(older, default=str))
    published = Files([Part(f"{tmp_path}/x.jsonl", 0)], [Part(f"{tmp_path}/y.jsonl", 0)])
    found = tally(published, Files([captions(tmp_path, "r1", "bc")]))
    assert (found.captions, found.new_captions, found.failures) == (3, 1, 0)


def test_nothing_is_nothing():
    found = tally(Files(), Files())
    assert (found.captions, found.failures, found.failures_by_kind) == (0, 0, {})
