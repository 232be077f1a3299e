"""What the job's tests share: a toy bundle, and a web server that behaves well and badly."""

import gzip
import http.server
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.images import good_images

JPEG = good_images()["rgb.jpg"]


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory) -> str:
    from tests.toy import make_toy_bundle

    return make_toy_bundle(str(tmp_path_factory.mktemp("bundles") / "toy"))


class WebHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests: Counter[str]

    def do_GET(self) -> None:
        self.requests[self.path] += 1
        getattr(self, "get_" + self.path.split("/")[1].split(".")[0], self.get_missing)()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def get_photo(self) -> None:
        self.answer(200, JPEG)

    def get_packed(self) -> None:
        """Chunks of seven bytes, compressed: what may come for one read."""
        data = gzip.compress(JPEG)
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(data), 7):
            piece = data[start : start + 7]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def get_moved(self) -> None:
        self.answer(302, Location="/photo.jpg")

    def get_loop(self) -> None:
        self.answer(302, Location="/loop.jpg")

    def get_garbage(self) -> None:
        self.answer(200, b"<html>not a photo</html>")

    def get_missing(self) -> None:
        self.answer(404, b"no")

    def get_forbidden(self) -> None:
        self.answer(403)

    def get_broken(self) -> None:
        self.answer(503)

    def get_flaky(self) -> None:
        if self.requests[self.path] < 3:
            self.answer(429, Retry_After="0")
        else:
            self.answer(200, JPEG)

    def get_short(self) -> None:
        self.answer(200, JPEG[:100], Content_Length=str(len(JPEG)))
        self.close_connection = True

    def get_slow(self) -> None:
        time.sleep(1.0)
        self.close_connection = True

    def get_trickle(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        try:
            for _ in range(20):
                self.wfile.write(b"x")
                time.sleep(0.1)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Web:
    """A running server: its address, and how often each path was asked for."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        handler = type("Handler", (WebHandler,), {"requests": self.requests})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/{path}"


@pytest.fixture
def web() -> Iterator[Web]:
    running = Web()
    yield running
    running.server.shutdown()
    running.server.server_close()
