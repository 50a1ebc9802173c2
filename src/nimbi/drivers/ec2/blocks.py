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
