"""2,000 inputs, half of them bad in every way known here: each is in exactly one table."""

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from beam_jobs import caption_images
from tests.beam_jobs.run_folder import photo
from tests.images import BROKEN_IMAGE_ERRORS, broken_images

ROWS = 2000
# Answers of the web server (tests/beam_jobs/conftest.py), and the error of each.
WEB_ERRORS = {
    "missing.jpg?row={}": "HttpStatusError",
    "forbidden.jpg?row={}": "HttpStatusError",
    "broken.jpg?row={}": "HttpStatusError",
    "loop.jpg?row={}": "TooManyRedirectsError",
    "garbage.jpg?row={}": "UnknownImageFormatError",
    "short.jpg?row={}": "BrokenConnectionError",
    "hangup.jpg?row={}": "BrokenConnectionError",
    "reset.jpg?row={}": "BrokenConnectionError",
    "nonsense.jpg?row={}": "BadAnswerError",
    "badzip.jpg?row={}": "BadAnswerError",
    "bomb.jpg?row={}": "TooManyBytesError",
    "endless.jpg?row={}": "TooManyBytesError",
    "robots.jpg?row={}%0Anoai": "RobotsDisallowedError",
}
# Rows that wait for --http_timeout_secs: few, for that must be long enough for a busy machine
# to give every other answer in time.
NAPS_EVERY = 1000


@pytest.fixture
def inputs(tmp_path, web) -> tuple[Path, dict[str, str]]:
    """A table of 2,000 rows; by URI the error that it must end in, "" for a caption."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    broken = broken_images()
    expected: dict[str, str] = {}
    lines = []
    for row in range(1, ROWS + 1):
        kind = row % 8
        if kind < 4:
            uri, error = str(folder / f"{row}.jpg"), ""
            Path(uri).write_bytes(photo(row, (40, 30)))
        elif kind == 4:
            name = sorted(broken)[row // 8 % len(broken)]
            uri, error = str(folder / f"{row}-{name}"), BROKEN_IMAGE_ERRORS[name]
            Path(uri).write_bytes(broken[name])
        elif kind == 5:
            path, error = web_answer(row)
            uri = web.url(path)
        elif kind == 6:
            uri, error = odd_uri(row)
        else:
            lines.append(bad_line(row))
            expected[f"{folder}/table.jsonl#row={row}"] = BAD_LINES[row // 8 % len(BAD_LINES)][1]
            continue
        expected[uri] = error
        lines.append(json.dumps({"uri": uri, "number": row}).encode())
    (folder / "table.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return folder / "table.jsonl", expected


BAD_LINES = [
    (b'{"number": 1}', "MissingUriError"),
    (b'{"uri": null}', "MissingUriError"),
    (b'{"uri": "", "number": 2}', "MissingUriError"),
    (b'{"uri": "caf\xe9.jpg"}', "NotUtf8Error"),
    (b'{"uri": "torn', "BadRowError"),
    (b"[1, 2]", "BadRowError"),
    (b'{"uri": 17}', "BadRowError"),
]


def bad_line(row: int) -> bytes:
    return BAD_LINES[row // 8 % len(BAD_LINES)][0]


def web_answer(row: int) -> tuple[str, str]:
    """Returns a path of the web server that gives no image, new for each row, and its error."""
    if row % NAPS_EVERY == 5:
        return f"nap.jpg?60&row={row}", "FetchTimeoutError"
    path = sorted(WEB_ERRORS)[row // 8 % len(WEB_ERRORS)]
    return path.format(row), WEB_ERRORS[path]


def odd_uri(row: int) -> tuple[str, str]:
    """Returns a URI that names nothing readable, different for each row, and its error."""
    uris = [
        (f"/nowhere/{row}.jpg", "FileNotFoundError"),
        (f"http://127.0.0.1:1/{row}.jpg", "BrokenConnectionError"),
        (f"http://[::1/{row}.jpg", "BadUrlError"),
        (f"nothing://x/{row}.jpg", "ValueError"),
        (f"http://no-such-host.invalid/{row}.jpg", "NameLookupError"),
    ]
    return uris[row // 8 % len(uris)]


def test_rows_in_are_captions_and_failures(inputs, toy_bundle, tmp_path):
    table, expected = inputs
    assert len(expected) == ROWS
    output = tmp_path / "output"
    words = f"--input {table} --output {output} --bundle {toy_bundle} --runner FnApiRunner --quiet"
    words += " --allow_private_addresses --read_attempts 1 --no_report --max_failure_rate 1"
    words += " --http_timeout_secs 10 --max_image_bytes 1000000"
    assert caption_images.main(words.split()) == 0

    captions = pq.read_table(output / "captions").to_pylist()
    failures = pq.read_table(output / "failures").to_pylist()
    assert len(captions) + len(failures) == ROWS
    found = {row["uri"]: "" for row in captions}
    found.update({row["uri"]: row["error_type"] for row in failures})
    differ = {uri: (found.get(uri), error) for uri, error in expected.items()}
    assert {uri: pair for uri, pair in differ.items() if pair[0] != pair[1]} == {}
    assert found.keys() == expected.keys()
    numbers = {row["uri"]: row["number"] for row in captions}
    assert all(Path(uri).stem == str(number) for uri, number in numbers.items())

    manifest = json.loads((output / "manifest.json").read_text())
    counts = manifest["counts"]
    assert (counts["listed"], counts["distinct"]) == (ROWS, ROWS)
    assert counts["bad_rows"] == ROWS // 8
    by_type = Counter(row["error_type"] for row in failures)
    stages = manifest["failures_by_stage"].values()
    assert sum((Counter(types) for types in stages), Counter()) == by_type
