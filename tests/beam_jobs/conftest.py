"""What the job's tests share: a toy bundle, and a web server that behaves well and badly."""

import contextlib
import email.utils
import gzip
import http.server
import json
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.images import good_images

JPEG = good_images()["rgb.jpg"]


class WebHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    web: "Web"

    def do_GET(self) -> None:
        with self.web.counted(self.path) as self.end_count:
            path = self.path
            if path.startswith("http://"):  # A proxy is asked so.
                path = "/" + path.split("/", 3)[3]
            getattr(self, "get_" + path.split("/")[1].split(".")[0], self.get_missing)()

    @property
    def requests(self) -> Counter[str]:
        return self.web.requests

    @property
    def query(self) -> str:
        return urllib.parse.unquote(self.path.partition("?")[2])

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        # Before the first byte: once a client has the last one, its next request may overtake us.
        self.end_count()
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

    def get_to(self) -> None:
        """On to the URL in the query, in UTF-8."""
        self.answer(302, Location=self.query.encode().decode("latin-1"))

    def get_latin(self) -> None:
        self.answer(302, Location="caf\xe9.jpg")

    def get_hop(self) -> None:
        """`/hop/3` needs three redirects to the photo."""
        left = int(self.path.rpartition("/")[2]) - 1
        self.answer(302, Location=f"/hop/{left}" if left else "/photo.jpg")

    def get_flood(self) -> None:
        """A redirect whose body never ends."""
        self.send_response(302)
        self.send_header("Location", "/photo.jpg")
        self.send_header("Content-Length", str(10**12))
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(bytes(65536))

    def get_endless(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(bytes(65536))

    def get_bomb(self) -> None:
        """Small as it comes, 50 MB when it is unpacked."""
        self.answer(200, gzip.compress(bytes(50_000_000)), Content_Encoding="gzip")

    def get_robots(self) -> None:
        """Sends the query's lines as `X-Robots-Tag` headers."""
        self.send_response(200)
        for line in self.query.split("\n"):
            self.send_header("X-Robots-Tag", line)
        self.send_header("Content-Length", str(len(JPEG)))
        self.end_headers()
        self.wfile.write(JPEG)

    def get_echo(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.answer(200, json.dumps(headers).encode(), Set_Cookie="biscuit=1")

    def get_later(self) -> None:
        """Refuses the first request, until the time in the query: seconds, or `date`."""
        if self.requests[self.path] > 1:
            self.answer(200, JPEG)
            return
        date = email.utils.formatdate(time.time() + 2, usegmt=True)
        self.answer(429, Retry_After=date if self.query == "date" else self.query)

    def get_nap(self) -> None:
        """Answers after the seconds in the query."""
        time.sleep(float(self.query.partition("&")[0]))
        self.answer(200, JPEG)

    def get_stall(self) -> None:
        """Says nothing until the server stops."""
        self.web.stopping.wait(60)
        self.close_connection = True

    def get_reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()

    def get_hangup(self) -> None:
        self.close_connection = True

    def get_nonsense(self) -> None:
        self.wfile.write(b"\x00\x01 SSH-2.0 nonsense\r\n\r\n")
        self.close_connection = True

    def get_badzip(self) -> None:
        self.answer(200, b"this is not gzip", Content_Encoding="gzip")

    def get_badchunk(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"zz\r\nwhat\r\n")
        self.close_connection = True

    def get_drip(self) -> None:
        """A head that comes byte by byte, and never whole."""
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.web.stopping.wait(0.05):
                self.wfile.write(b"x")
        self.close_connection = True

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
    """A running server: its address, how often each path was asked for, and by how many at once."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.requests: Counter[str] = Counter()
        self.most_at_once = 0
        self.stopping = threading.Event()
        self._at_once = 0
        self._lock = threading.Lock()
        handler = type("Handler", (WebHandler,), {"web": self})
        self.server = QuietServer((host, 0), handler)
        self.scheme = "http"
        if tls:
            self.scheme = "https"
            self.server.socket = tls.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def host(self) -> str:
        return str(self.server.server_address[0])

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def url(self, path: str, host: str = "") -> str:
        return f"{self.scheme}://{host or self.host}:{self.port}/{path}"

    @contextlib.contextmanager
    def counted(self, path: str) -> Iterator[Callable[[], None]]:
        """Counts a request as under way until the function given is called, or it ends."""
        under_way = [path]

        def end() -> None:
            with self._lock:
                if under_way:
                    under_way.clear()
                    self._at_once -= 1

        with self._lock:
            self.requests[path] += 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield end
        finally:
            end()

    def stop(self) -> None:
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[Web]:
    running = Web()
    yield running
    running.stop()
