import datetime
import ipaddress
import socket
import ssl
from collections.abc import Iterator

import pytest

from beam_jobs.config import FetchConfig
from beam_jobs.fetching.addresses import is_public_address
from beam_jobs.fetching.connections import SocketWatch
from beam_jobs.fetching.errors import ReadStoppedError
from beam_jobs.fetching.fetcher import Fetcher, FetchFailedError
from tests.beam_jobs.conftest import JPEG, Web

QUICK = FetchConfig(timeout_secs=1.0, attempts=1)


def only_first_loopback(address: str) -> bool:
    """The tests' stand-in for a public address: 127.0.0.1, which other loopback ones are not."""
    return address == "127.0.0.1"


def error_of(fetcher: Fetcher, url: str) -> tuple[str, str]:
    with pytest.raises(FetchFailedError) as raised:
        fetcher.fetch(url)
    return type(raised.value.__cause__).__name__, str(raised.value.__cause__)


@pytest.fixture
def private() -> Iterator[Web]:
    """A server that must not be reached."""
    server = Web("127.0.0.2")
    yield server
    server.stop()


class Names:
    """Answers for made-up names, one after the other, in place of a name server's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self._really = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self.lookup)

    def lookup(self, host: str, port: int, *args: object, **kwargs: object) -> list[object]:
        if host not in self.answers:
            return self._really(host, port, *args, **kwargs)
        self.asked.append(host)
        ips = self.answers[host].pop(0)
        return [found for ip in ips for found in self._really(ip, port, *args, **kwargs)]


@pytest.fixture
def names(monkeypatch) -> Names:
    return Names(monkeypatch)


def test_a_redirect_to_a_private_address_is_not_followed(web, private):
    fetcher = Fetcher(QUICK, only_first_loopback)
    assert fetcher.fetch(web.url("photo.jpg")) == JPEG
    for target in (private.url("photo.jpg"), f"http://2130706434:{private.port}/photo.jpg"):
        error_type, message = error_of(fetcher, web.url(f"to.jpg?{target}"))
        assert error_type == "PrivateAddressError"
        assert "127.0.0.2, which is not a public address" in message
    assert not private.requests
    assert Fetcher(QUICK, lambda _: True).fetch(web.url(f"to.jpg?{private.url('photo.jpg')}"))


def test_a_name_that_changes_its_address_is_asked_once_and_reached_where_it_was_checked(
    web, private, names
):
    names.answers["turncoat.org"] = [["127.0.0.1"], ["127.0.0.2"]]
    fetcher = Fetcher(QUICK, only_first_loopback)
    url = f"http://turncoat.org:{web.port}/photo.jpg"
    assert fetcher.fetch(url) == JPEG
    assert fetcher.fetch(url) == JPEG  # The same connection.
    assert names.asked == ["turncoat.org"]
    assert web.requests == {"/photo.jpg": 2}

    again = Fetcher(QUICK, only_first_loopback)
    assert error_of(again, url)[0] == "PrivateAddressError"
    assert not private.requests


def test_one_private_address_among_several_refuses_the_host(web, names):
    names.answers["mixed.org"] = [["127.0.0.1", "127.0.0.2"]]
    url = f"http://mixed.org:{web.port}/photo.jpg"
    assert error_of(Fetcher(QUICK, only_first_loopback), url)[0] == "PrivateAddressError"
    assert not web.requests


def test_the_next_address_is_tried_where_the_first_does_not_answer(web, names):
    names.answers["several.org"] = [["127.0.0.3", "127.0.0.1"]]
    url = f"http://several.org:{web.port}/photo.jpg"
    assert Fetcher(QUICK, lambda _: True).fetch(url) == JPEG


def test_a_silent_first_address_leaves_time_for_the_next(web, names):
    names.answers["several.org"] = [["127.0.0.3", "127.0.0.1"]]
    with socket.socket() as full:
        full.bind(("127.0.0.3", web.port))
        full.listen(0)
        with socket.create_connection(full.getsockname()):  # All that its queue takes.
            url = f"http://several.org:{web.port}/photo.jpg"
            assert Fetcher(QUICK, lambda _: True).fetch(url) == JPEG


def test_a_host_that_nobody_knows_may_be_known_to_another_run():
    with pytest.raises(FetchFailedError) as raised:
        Fetcher(FetchConfig(attempts=1)).fetch("http://photos.invalid/a.jpg")
    assert type(raised.value.__cause__).__name__ in ("NameLookupError", "NameServerError")
    assert (raised.value.attempts, raised.value.transient) == (1, True)


@pytest.fixture
def tls_web(tmp_path, monkeypatch) -> Iterator[Web]:
    """A server for the name photos.test, whose certificate authority is trusted."""
    certificate = make_certificate(tmp_path, "photos.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Web(tls=context)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate)
    yield server
    server.stop()


def make_certificate(folder, name: str) -> str:
    """Writes a certificate for a host, signed by itself, and its key into one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.9"))]
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return str(path)


@pytest.mark.parametrize("allow_private_addresses", [False, True])
def test_tls_is_verified_against_the_name_not_the_address(tls_web, names, allow_private_addresses):
    names.answers = {"photos.test": [["127.0.0.1"]] * 2, "other.test": [["127.0.0.1"]] * 2}
    config = FetchConfig(
        timeout_secs=5, attempts=3, allow_private_addresses=allow_private_addresses
    )
    fetcher = Fetcher(config, only_first_loopback)
    assert fetcher.fetch(tls_web.url("photo.jpg", "photos.test")) == JPEG
    assert fetcher.fetch(tls_web.url("packed.jpg", "photos.test")) == JPEG
    for host in ("other.test", "127.0.0.1"):
        with pytest.raises(FetchFailedError) as raised:
            fetcher.fetch(tls_web.url("photo.jpg", host))
        assert type(raised.value.__cause__).__name__ == "TlsError"
        assert (raised.value.attempts, raised.value.transient) == (1, False)
        assert "certificate" in str(raised.value.__cause__)
    assert tls_web.requests == {"/photo.jpg": 1, "/packed.jpg": 1}


def test_a_certificate_of_an_unknown_authority_is_refused(tls_web, names, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    names.answers["photos.test"] = [["127.0.0.1"]]
    url = tls_web.url("photo.jpg", "photos.test")
    error_type, message = error_of(Fetcher(QUICK, only_first_loopback), url)
    assert (error_type, "self-signed certificate" in message) == ("TlsError", True)


@pytest.mark.parametrize("path", ["drip.jpg", "trickle.jpg", "stall.jpg"])
def test_time_limits_hold_under_tls_too(tls_web, names, path):
    names.answers["photos.test"] = [["127.0.0.1"]]
    url = tls_web.url(path, "photos.test")
    assert error_of(Fetcher(QUICK, only_first_loopback), url)[0] == "FetchTimeoutError"


def test_speaking_tls_to_a_plain_server_is_a_tls_error(web):
    url = web.url("photo.jpg").replace("http:", "https:")
    assert error_of(Fetcher(QUICK, only_first_loopback), url)[0] == "TlsError"


def test_an_ipv6_address_is_reached_by_its_brackets():
    with socket.socket(socket.AF_INET6) as free:
        try:
            free.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 on this machine")
        port = free.getsockname()[1]
    message = error_of(Fetcher(QUICK, lambda _: True), f"http://[::1]:{port}/a")[1]
    assert message == f"no connection to ::1 at ::1 port {port}: Connection refused"
    assert error_of(Fetcher(QUICK, is_public_address), f"http://[::1]:{port}/a")[0] == (
        "PrivateAddressError"
    )


def test_a_watched_socket_is_broken_off_and_no_other_is_watched_after():
    left, right = socket.socketpair()
    sockets = SocketWatch()
    with left, right:
        sockets.watch(left)
        sockets.break_off()
        assert left.recv(1) == b""
        with pytest.raises(ReadStoppedError):
            sockets.watch(right)
        sockets.break_off()


def test_what_is_watched_no_more_is_left_alone():
    left, right = socket.socketpair()
    sockets = SocketWatch()
    with left, right:
        sockets.watch(left)
        sockets.unwatch()
        sockets.break_off()
        right.send(b"x")
        assert left.recv(1) == b"x"
