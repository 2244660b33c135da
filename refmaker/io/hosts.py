"""Whether a host is this machine, or a place that only this machine reaches.

What counts is what a client will connect to: the name after percent-decoding and the mappings
of IDNA (UTS 46), in which full-width digits are digits and an ideographic full stop is a dot; an
address in each of its spellings; and the IPv4 addresses that IPv6 addresses embed.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

__all__ = ["Host", "host_of", "is_here"]

Host = tuple[str, int | None]
"""Name or address, and port."""

_PORTS = {"http": 80, "https": 443, "ftp": 21, "sftp": 22, "ssh": 22}
_DOTS = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61", "."))
_NAMES = frozenset(
    {
        *("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback", "broadcasthost"),
        # Metadata services of cloud providers, which hand out credentials of the machine.
        *("metadata", "metadata.google.internal", "metadata.goog", "metadata.azure.internal"),
        *("instance-data", "instance-data.ec2.internal", "metadata.tencentyun.com"),
        *("metadata.packet.net", "metadata.platformequinix.com", "rancher-metadata"),
    }
)
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            *("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd00:ec2::23"),
            *("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd20:ce::254"),
        ),
    )
)
_NAT64 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")))
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def host_of(url: str) -> Host:
    """Return the host and port that a client of a URL connects to; an empty name for none."""
    try:
        parts = urlsplit(url)
        host, port = _name(parts.hostname or ""), parts.port
    except ValueError:
        return "", None
    return host, _PORTS.get(parts.scheme.lower()) if port is None else port


def is_here(host: str) -> bool:
    """Whether a host is this machine, valid on its own link only, or a metadata service."""
    host = _name(host)
    if not host or host in _NAMES or host.endswith((".localhost", ".localhost.localdomain")):
        return True
    address = _address(host)
    return address is not None and any(map(_is_here, _meant(address)))


def _name(host: str) -> str:
    """Return a host as IDNA leaves it: one spelling for each."""
    text = unicodedata.normalize("NFKC", unquote(host)).translate(_DOTS)
    text = unicodedata.normalize("NFKC", text.casefold()).strip("[]").rstrip(".")
    # A soft hyphen and what has no width are dropped by IDNA.
    return "".join(c for c in text if unicodedata.category(c) != "Cf").partition("%")[0]


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    # Asked of no set that names local files alone.
    import socket

    try:
        # Systems also take 127.1, 0x7f000001, 0177.0.0.1 and 2130706433 for addresses.
        from socket import inet_aton

        return ipaddress.ip_address(inet_aton(host))
    except (OSError, ValueError):
        return None


def _meant(address: Address) -> Iterator[Address]:
    """Yield an address, and the IPv4 addresses that translators find in it."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    low = int(address) & 0xFFFFFFFF
    isatap = (int(address) >> 32) & 0xFDFFFFFF == 0x5EFE
    if (
        isatap
        or any(address in network for network in _NAT64)
        or (address in _COMPATIBLE and low > 0xFFFF)
    ):
        yield ipaddress.IPv4Address(low)


def _is_here(address: Address) -> bool:
    special = address.is_loopback or address.is_link_local or address.is_unspecified
    return bool(special or address in _METADATA or _is_own(address))


@lru_cache(1024)
def _is_own(address: Address) -> bool:
    """Whether an address is one of this machine's: only such can be bound."""
    if address.is_multicast:
        return False
    import socket

    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
