"""Blocks of addresses in CIDR form, checked before anything is sent."""

import ipaddress

from nimbi.model.errors import Invalid

Block = ipaddress.IPv4Network | ipaddress.IPv6Network


def parsed(block: str) -> Block:
    """Return the block of `10.0.0.0/16`. Raises Invalid for what is none, or has host bits set."""
    try:
        if "/" in block:
            return ipaddress.ip_network(block)
    except ValueError:
        pass
    raise Invalid(f"{block[:100]!r} is no block of addresses: 10.0.0.0/16")


def is_within(inner: Block, outer: Block) -> bool:
    """Return whether all addresses of one block are in another; never of two families."""
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)
