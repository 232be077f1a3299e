"""The job on Beam's portable runner: a job service, and workers in processes of their own."""

import http.server
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from PIL import Image

from beam_jobs import caption_images
from tests.distributed.cluster import (
    WORKERS,
    kill,
    observing,
    running_cluster,
    wait_until,
)
from tests.images import broken_images
from tests.toy import toy_pixels

pytestmark = pytest.mark.slow

NUM_IMAGES = 200
SLOW_SECS = 2.0  # of the slow server: each worker reads 8 images in that time
JOB_SECS = 120.0
SAME = ("image_sha256", "caption", "num_tokens", "finished", "width", "height", "size_bytes")


def toy_images() -> dict[str, bytes]:
    images = {}
    for number, pixels in enumerate(toy_pixels(NUM_IMAGES, seed=3)):
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "PNG")
        images[f"{number:03}.png"] = encoded.getvalue()
    return images


def captions_of(output: Path) -> dict[str, dict[str, Any]]:
    rows = ds.dataset(str(output / "captions")).to_table().to_pylist()
    found = {row["uri"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def assert_same_captions(output: Path, expected_output: Path) -> None:
    """Scores to six digits: sums of floats depend on an image's place in its batch."""
    found, expected = captions_of(output), captions_of(expected_output)
    assert len(expected) == NUM_IMAGES
    assert {uri: [row[name] for name in SAME] for uri, row in found.items()} == {
        uri: [row[name] for name in SAME] for uri, row in expected.items()
    }
    scores = [found[uri]["score"] for uri in expected]
    assert scores == pytest.approx([row["score"] for row in expected.values()], rel=1e-5)


def failures_of(output: Path) -> dict[str, str]:
    rows = ds.dataset(str(output / "failures")).to_table().to_pylist()
    return {row["uri"]: row["error_type"] for row in rows}


def run(*flags: object) -> int:
    return caption_images.main([str(flag) for flag in (*flags, "--no_report", "--quiet")])


@pytest.fixture
def cluster(tmp_path):
    with running_cluster(tmp_path / "cluster") as running:
        yield running


def test_two_workers_write_what_the_local_runner_writes(cluster, toy_bundle, tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, data in {**toy_images(), "cut.jpg": broken_images()["cut.jpg"]}.items():
        (folder / name).write_bytes(data)
    (tmp_path / "list.txt").write_text("photos/000.png\nphotos/missing.jpg\n")
    # All paths are relative: the workers, who start elsewhere, must find the same files.
    monkeypatch.chdir(tmp_path)
    bundle = os.path.relpath(toy_bundle)
    inputs = ["--input", "photos", "--input", "@list.txt", "--bundle", bundle, "--batch_size", 8]

    assert run(*inputs, "--output", "local", "--runner", "FnApiRunner") == 0
    with observing(cluster) as captioned:
        assert run(*inputs, "--output", "portable", *cluster.flags()) == 0

    assert len(captioned) == WORKERS, cluster.log()
    assert_same_captions(tmp_path / "portable", tmp_path / "local")
    assert failures_of(tmp_path / "portable") == failures_of(tmp_path / "local")
    wait_until(lambda: not cluster.workers(), "workers end with their job", 15)


class SlowServer:
    """Gives each image after `SLOW_SECS`, and at once when it is told to hurry."""

    def __init__(self, images: dict[str, bytes]) -> None:
        self.hurry = hurry = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hurry.wait(SLOW_SECS)
                data = images[self.path.strip("/")]
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_: object) -> None:
                """A killed worker leaves its connections; that is no error here."""

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/{name}"

    def close(self) -> None:
        self.hurry.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def slow_server():
    server = SlowServer(toy_images())
    yield server
    server.close()


def test_a_killed_worker_ends_the_run_and_resume_completes_it(
    cluster, slow_server, toy_bundle, tmp_path
):
    """Beam's own engine does not replace a worker: it fails the job.

    What was committed before stays, and `--resume`, on any runner, does the rest.
    """
    urls = [slow_server.url(name) for name in toy_images()]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    output = tmp_path / "output"
    flags = ["--input", f"@{tmp_path / 'list.txt'}", "--bundle", toy_bundle, "--batch_size", "4"]
    flags += ["--allow_private_addresses", "--commit_every", "8", "--http_timeout_secs", "60"]
    command = [sys.executable, "-m", "beam_jobs.caption_images", *flags, "--output", str(output)]
    with (tmp_path / "launcher.log").open("wb") as log:
        launcher = subprocess.Popen([*command, "--quiet", *cluster.flags()], stderr=log, stdout=log)
    try:
        wait_until(lambda: len(parts_of(output)) >= 4, "four parts are committed", JOB_SECS)
        wait_until(lambda: len(cluster.workers_with_tensorflow()) == WORKERS, "both are at work")
        kill(cluster.workers()[0])
        slow_server.hurry.set()
        assert launcher.wait(timeout=JOB_SECS) == 1
    finally:
        launcher.kill()
        launcher.wait()
    said = (tmp_path / "launcher.log").read_text()
    assert "Channel closed prematurely" in said
    assert "--resume" in said
    durable = {uri for part in parts_of(output) for uri in uris_of(part)}
    assert 32 <= len(durable) < NUM_IMAGES
    assert not (output / "captions").exists()
    assert not (output / "manifest.json").exists()

    assert run(*flags, "--output", output, "--resume", "--runner", "FnApiRunner") == 0
    assert run(*flags, "--output", tmp_path / "whole", "--runner", "FnApiRunner") == 0
    assert_same_captions(output, tmp_path / "whole")
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["counts"]["done_by_earlier_runs"] == len(durable)


def parts_of(output: Path) -> list[Path]:
    return sorted((output / "_committed" / "captions").glob("*.parquet"))


def uris_of(part: Path) -> list[str]:
    return ds.dataset(str(part)).to_table(["uri"]).column("uri").to_pylist()
