"""Which network addresses are public, and the addresses of a host, every one of them checked.

A URL in an input list must not make the job read what only the machine it runs on can reach: its
own services, the network around it, the cloud's metadata server. Spellings do not matter here
(`http://2130706433/`, `http://0x7f.1/`): what is judged is the address that the system's resolver
gives, and connections go to those very addresses, so that a second DNS answer cannot differ.

The lists are IANA's special-purpose registries (IPv4 and IPv6, 2024), plus multicast. They are
written out because `ipaddress.is_global` differs between Python versions.
"""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from beam_jobs.fetching.errors import (
    BadUrlError,
    NameLookupError,
    NameServerError,
    PrivateAddressError,
)

IsAllowed = Callable[[str], bool]

_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog"})
_NOT_PUBLIC_4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata server, 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform server, public by its number only
        "169.254.0.0/16",  # link-local; AWS', Google's and Azure's metadata server
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# All that is public in IPv6 is in here ...
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
# ... except these.
_NOT_PUBLIC_6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments; Teredo, which wraps IPv4 addresses
        "2001:db8::/32",
        "2002::/16",  # 6to4, which wraps IPv4 addresses
        "3fff::/20",
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Endpoint(NamedTuple):
    """One address of a host, as `socket.socket` and `connect` take it."""

    family: int
    kind: int
    protocol: int
    address: tuple[Any, ...]

    @property
    def ip(self) -> str:
        """The address without its port, as text."""
        return str(self.address[0])


def is_public_address(address: str) -> bool:
    """Tells whether an IP address can be reached by everybody, as far as its number says.

    IPv4 addresses mapped into IPv6 (`::ffff:8.8.8.8`), or reached through NAT64, are what they
    hold. 6to4 and Teredo are refused altogether.

    Args:
        address: in the usual spelling; anything else is not public.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        held = _held_ipv4(ip)
        if held is None:
            return ip in _UNICAST_6 and not any(ip in network for network in _NOT_PUBLIC_6)
        ip = held
    return not any(ip in network for network in _NOT_PUBLIC_4)


def _held_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None


def endpoints(host: str, port: int, is_allowed: IsAllowed | None) -> list[Endpoint]:
    """Asks for the addresses of a host, once.

    Args:
        host: name or address, in any spelling that the system's resolver takes.
        port: goes into the endpoints.
        is_allowed: judges one address; all are allowed where it is None.

    Returns:
        At least one.

    Raises:
        PrivateAddressError: where any one of them is not allowed.
        NameLookupError: where there is no such host.
        NameServerError: where that could not be found out.
        BadUrlError: for what cannot be a host's name.
    """
    if is_allowed and host.rstrip(".").lower() in _METADATA_NAMES:
        raise PrivateAddressError(host, "a cloud's metadata server")
    found = [
        Endpoint(family, kind, protocol, address)
        for family, kind, protocol, _, address in _lookup(host.strip("[]"), port)
    ]
    for endpoint in found:
        if is_allowed and not is_allowed(endpoint.ip):
            raise PrivateAddressError(host, f"at {endpoint.ip}, which is not a public address")
    return found


def _lookup(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            raise NameLookupError(f"no host of the name {host}") from error
        raise NameServerError(f"the name {host} could not be looked up: {error}") from error
    except UnicodeError as error:
        raise BadUrlError(f"{host!r} is no host name: {error}") from error
