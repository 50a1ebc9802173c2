"""Blocks of addresses, and what is still free in them."""

import ipaddress
from collections.abc import Collection

from nimbi.model.errors import Invalid, OutOfCapacity

Block = ipaddress.IPv4Network | ipaddress.IPv6Network

# The block itself and its gateway.
RESERVED_FIRST = 2


def parsed(text: str) -> Block:
    """Return a block given as `10.0.0.0/8`. Raises Invalid, also when bits of a host are set."""
    try:
        if "/" in text:
            return ipaddress.ip_network(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is no address block: {error}") from error
    raise Invalid(f"{text!r} is no address block: a prefix is missing, as in 10.0.0.0/8")


def is_within(inner: Block, outer: Block) -> bool:
    return (
        inner.version == outer.version
        and inner.network_address in outer
        and inner.broadcast_address in outer
    )


def first_free(block: Block, taken: Collection[str]) -> str:
    """Return the lowest address of a block that is free. Raises OutOfCapacity."""
    # The last address of an IPv4 block is for broadcasts.
    last = block.num_addresses - (2 if block.version == 4 else 1)
    for number in range(RESERVED_FIRST, last + 1):
        if (ip := str(block[number])) not in taken:
            return ip
    raise OutOfCapacity(f"no address is free in {block}")
