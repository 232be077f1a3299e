import pytest

from beam_jobs.status_text import Status, status_lines
from beam_jobs.tally import FailureKind


def make_status(**changes) -> Status:
    values = {
        "output": "out",
        "state": "published",
        "secs_since_news": None,
        "published": None,
        "captions": 1234567,
        "failures": 3,
        "unpublished_captions": 0,
        "unpublished_failures": 0,
        "failures_by_kind": {FailureKind("read", "FetchTimeoutError", True): 3},
        "runs": (),
        "resume": None,
    }
    return Status(**{**values, **changes})


@pytest.mark.parametrize(
    ("state", "secs", "text"),
    [
        ("published", None, "published, nothing is waiting"),
        ("published", 5.0, "published, nothing is waiting"),
        ("running", 12.4, "running, or stopped just now; its newest file is 0:00:12 old"),
        ("interrupted", 3700.0, "interrupted, or held up; its newest file is 1:01:40 old"),
    ],
)
def test_the_first_line_tells_the_state(state, secs, text):
    lines = status_lines(make_status(state=state, secs_since_news=secs))
    assert next(lines) == f"out: {text}"


def test_what_may_pass_is_said():
    assert list(status_lines(make_status(unpublished_captions=1000)))[1:] == [
        "",
        "captions     1,234,567  (1,000 of them not yet published)",
        "failures             3",
        "                     3  FetchTimeoutError (read, may pass)",
        "",
        "published   nothing yet",
        "",
    ]


def test_json_has_plain_values():
    assert make_status().to_dict()["failures_by_kind"] == [
        {"stage": "read", "error_type": "FetchTimeoutError", "transient": True, "count": 3}
    ]
