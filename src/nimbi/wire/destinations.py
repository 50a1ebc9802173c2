"""Addresses that nobody else may have this program call."""

import ipaddress
from collections.abc import Iterator
from enum import StrEnum
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where clouds tell a machine its own secrets.
METADATA = (
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
    ipaddress.ip_network("fd00:ec2::/32"),
)
# Of makers who use other addresses: Alibaba, Azure, Oracle, Google, Scaleway.
OTHERS = (
    ipaddress.ip_network("100.100.100.200/32"),
    ipaddress.ip_network("168.63.129.16/32"),
    ipaddress.ip_network("192.0.0.192/32"),
    ipaddress.ip_network("fd20:ce::254/128"),
    ipaddress.ip_network("fd00:42::42/128"),
)

# Private networks of old (RFC 3879), which Python takes for global.
SITE_LOCAL = ipaddress.ip_network("fec0::/10")

# IPv6 addresses that stand for one of IPv4, in their last 32 bits. RFC 6052, RFC 8215, RFC 4291.
EMBEDDING = (
    ipaddress.ip_network("64:ff9b::/96"),
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("::/96"),
    ipaddress.ip_network("::ffff:0:0:0/96"),
)


class Reach(StrEnum):
    """How far requests may go that somebody else caused.

    PRIVATE is anywhere but to addresses where clouds tell a machine its secrets; PUBLIC leaves out
    this machine, private networks, and whatever else is not of the Internet.
    """

    ANYWHERE = "anywhere"
    PRIVATE = "private"
    PUBLIC = "public"


def is_of_machine(url: str) -> bool:
    """Return whether a URL names an address of the link, where a cloud tells a machine secrets.

    A name is not looked up.
    """
    try:
        address = ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in METADATA)


def is_within(address: str, reach: Reach) -> bool:
    """Return whether an IP address (a scope `%eth0` may follow) is within reach.

    What is no address is within none but ANYWHERE.
    """
    if reach is Reach.ANYWHERE:
        return True
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(_is_within(each, reach) for each in _meant(found))


def _is_within(address: Address, reach: Reach) -> bool:
    # An address is in no network of the other family.
    if any(address in network for network in (*METADATA, *OTHERS)):
        return False
    if reach is Reach.PRIVATE:
        return True
    is_odd = address.is_multicast or address.is_reserved or address in SITE_LOCAL
    return address.is_global and not is_odd


def _meant(address: Address) -> Iterator[Address]:
    """Yield an address, or else those that it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and any(address in network for network in EMBEDDING):
        last = int(address) & 0xFFFFFFFF
        # ::1 and :: are addresses of their own.
        inner = ipaddress.IPv4Address(last) if last > 1 else None
    if inner is None and address.teredo is not None:
        yield from address.teredo
        return
    yield inner or address
