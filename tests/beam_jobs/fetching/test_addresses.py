import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.config import FetchConfig
from beam_jobs.fetching import addresses
from beam_jobs.fetching.addresses import endpoints, is_public_address
from beam_jobs.fetching.errors import (
    BadUrlError,
    NameLookupError,
    NameServerError,
    PrivateAddressError,
)
from beam_jobs.fetching.fetcher import Fetcher, FetchFailedError

PRIVATE_4 = [
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/3",
    )
]
private_addresses = st.sampled_from(PRIVATE_4).flatmap(
    lambda network: st.ip_addresses(network=network)
)


def spellings(ip: ipaddress.IPv4Address) -> list[str]:
    """Ways in which C libraries, and so URLs, may write an IPv4 address."""
    number = int(ip)
    a, b, c, d = ip.packed
    return [
        str(ip),
        str(number),
        hex(number),
        f"0{number:o}",
        f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{number & 0xFFFF}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"[::ffff:{ip}]",
        f"[::ffff:{a:x}{b:02x}:{c:x}{d:02x}]",
        f"[64:ff9b::{ip}]",
        f"[2002:{a:x}{b:02x}:{c:x}{d:02x}::1]",
    ]


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "172.32.0.1",
        "223.255.255.255",
        "192.0.1.1",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ],
)
def test_addresses_that_everybody_can_reach_are_public(address):
    assert is_public_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "168.63.129.16",
        "100.100.100.200",
        "100.127.255.255",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fc00::1",
        "ff02::1",
        "fec0::1",
        "2001:db8::1",
        "2001::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "100::1",
        "5f00::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "::ffff:127.0.0.1",
        "64:ff9b::10.0.0.1",
        "",
        "localhost",
        "8.8.8",
        "0x8.8.8.8",
        "8.8.8.8 ",
    ],
)
def test_all_others_are_not(address):
    assert not is_public_address(address)


@given(private_addresses)
def test_no_spelling_hides_an_address_that_is_not_public(ip):
    for spelled in spellings(ip):
        with pytest.raises(PrivateAddressError):
            endpoints(spelled, 80, is_public_address)


@given(st.ip_addresses(v=4))
def test_whatever_is_public_is_global_by_pythons_own_lists_too(ip):
    for held in (ip, ipaddress.ip_address(f"::ffff:{ip}")):
        if is_public_address(str(held)):
            assert ip.is_global
            assert not ip.is_multicast


@given(st.ip_addresses(v=6))
def test_whatever_is_public_in_ipv6_is_global_by_pythons_own_lists_too(ip):
    if is_public_address(str(ip)):
        assert ip.is_global
        assert not ip.is_multicast


def test_all_addresses_are_given_with_the_port():
    [found] = endpoints("127.0.0.1", 81, None)
    assert (found.ip, found.address, found.kind) == (
        "127.0.0.1",
        ("127.0.0.1", 81),
        socket.SOCK_STREAM,
    )


def test_one_private_answer_among_public_ones_is_enough(monkeypatch):
    answers = [(2, 1, 6, "", ("8.8.8.8", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(PrivateAddressError) as raised:
        endpoints("both.org", 80, is_public_address)
    assert str(raised.value) == (
        "both.org is at 10.0.0.1, which is not a public address; "
        "--allow_private_addresses lets it be read"
    )
    assert [found.ip for found in endpoints("both.org", 80, None)] == ["8.8.8.8", "10.0.0.1"]


@pytest.mark.parametrize("name", ["metadata.google.internal", "METADATA.Google.internal."])
def test_googles_metadata_server_is_refused_by_its_name(name):
    with pytest.raises(PrivateAddressError, match="a cloud's metadata server"):
        endpoints(name, 80, is_public_address)


@pytest.mark.parametrize(
    ("number", "error_type"),
    [
        (socket.EAI_NONAME, NameLookupError),
        (socket.EAI_NODATA, NameLookupError),
        (socket.EAI_AGAIN, NameServerError),
        (socket.EAI_FAIL, NameServerError),
    ],
)
def test_an_unknown_name_is_told_from_a_name_server_that_fails(monkeypatch, number, error_type):
    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "no")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(error_type, match=r"photos\.org"):
        endpoints("photos.org", 80, is_public_address)


@pytest.mark.parametrize("name", ["a" * 64 + ".org", "a..b"])
def test_what_is_no_name_is_not_looked_up(name):
    with pytest.raises(BadUrlError, match="is no host name"):
        addresses.endpoints(name, 80, None)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "0",
        "[::ffff:127.0.0.1]",
        "user@127.0.0.1",
        "169.254.169.254",
        "metadata.google.internal",
    ],
)
def test_the_default_configuration_reads_nothing_from_this_machine(web, host):
    for url in (f"http://{host}:{web.port}/photo.jpg", f"https://{host}:{web.port}/photo.jpg"):
        with pytest.raises(FetchFailedError) as raised:
            Fetcher(FetchConfig()).fetch(url)
        assert type(raised.value.__cause__) is PrivateAddressError
        assert (raised.value.attempts, raised.value.transient) == (1, False)
    assert not web.requests
