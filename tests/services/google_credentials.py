"""Credentials for emulators: a service account with a key made here, and who exchanges it.

Without any, Google's clients look for a metadata server for 20 seconds and more in every process.
"""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PROJECT = "test"
TOKEN = json.dumps({"access_token": "emulated", "expires_in": 3600, "token_type": "Bearer"})


class _TokenHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(TOKEN)))
        self.end_headers()
        self.wfile.write(TOKEN.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def service_account(folder: Path) -> Iterator[str]:
    """Writes a service account's file and exchanges its key for tokens while the context lasts.

    Yields:
        Path of the file, for `GOOGLE_APPLICATION_CREDENTIALS`.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _TokenHandler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    path = folder / "service_account.json"
    path.write_text(json.dumps(_account(server.server_address[1])), encoding="utf-8")
    try:
        yield str(path)
    finally:
        server.shutdown()
        server.server_close()


def stay_offline() -> None:
    """Keeps newer releases of google-auth from asking Google where an account may be used.

    They do so in the background, and only what they log would show that it failed.
    """
    from google.auth import credentials

    name = "CredentialsWithRegionalAccessBoundary"
    if hasattr(credentials, name):
        lookup = "_is_regional_access_boundary_lookup_required"
        setattr(getattr(credentials, name), lookup, lambda _: False)


def _account(token_port: int) -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "made-by-the-tests",
        "private_key": pem.decode(),
        "client_email": f"tests@{PROJECT}.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"http://127.0.0.1:{token_port}/token",
    }
