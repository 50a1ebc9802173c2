"""Blocks of IPv4 addresses: which ones may be a network's, and which addresses are free in them."""

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from nimbi.qemu.errors import Capacity, Conflict, Invalid

Block = ipaddress.IPv4Network

PRIVATE = tuple(map(Block, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""RFC 1918."""

LARGEST, SMALLEST = 12, 28
"""Prefix lengths of networks; a subnet may be one bit smaller."""

DEFAULT = Block("10.83.0.0/16")
LOOPBACK = Block("127.0.0.0/8")

# /proc/net/fib_trie: "|-- 192.0.2.2" on one line, "/32 host LOCAL" on a line below.
LEAF = re.compile(r"\|-- (\S+)")
LOCAL = re.compile(r"/(\d+) (?:host|link) LOCAL")


def parsed(text: str) -> Block:
    """Return a block written as "10.0.0.0/8". Raises Invalid, also when bits of a host are set."""
    try:
        block = Block(text)
    except ValueError:
        raise Invalid(
            f"{text[:50]!r} is no block of IPv4 addresses, such as 10.77.0.0/16"
        ) from None
    if str(block) != text:
        raise Invalid(f"{text[:50]!r} is no block in its plain form, {block}")
    return block


def check_network(block: Block) -> None:
    """Raise Invalid unless a network can have the block."""
    if not any(block.subnet_of(private) for private in PRIVATE):
        raise Invalid(f"{block} is not private: it is in none of {', '.join(map(str, PRIVATE))}")
    if not LARGEST <= block.prefixlen <= SMALLEST:
        raise Invalid(f"a network's prefix is {LARGEST} to {SMALLEST}, not {block.prefixlen}")


def check_subnet(block: Block, network: Block) -> None:
    """Raise Invalid unless a subnet of the network can have the block."""
    if not block.subnet_of(network):
        raise Invalid(f"{block} is not within the network's {network}")
    if block.prefixlen > SMALLEST + 1:
        raise Invalid(f"a subnet's prefix is at most {SMALLEST + 1}, not {block.prefixlen}")


def check_apart(block: Block, others: Iterable[Block], whose: str) -> None:
    """Raise Conflict when the block overlaps one of the others."""
    for other in others:
        if block.overlaps(other):
            raise Conflict(f"{block} overlaps {other}, {whose}")


def free_network(taken: Collection[Block]) -> Block:
    """Return the first of the usual blocks that overlaps nothing in `taken`. Raises Capacity."""
    for block in _candidates():
        if not any(block.overlaps(other) for other in taken):
            return block
    raise Capacity("no block of private addresses is free for one more network")


def _candidates() -> Iterator[Block]:
    """Yield the blocks that are tried: those after the default one, then all others."""
    ten, seventeen, nineteen = PRIVATE
    of_ten = list(ten.subnets(new_prefix=DEFAULT.prefixlen))
    start = of_ten.index(DEFAULT)
    yield from of_ten[start:]
    yield from of_ten[:start]
    yield from seventeen.subnets(new_prefix=16)
    yield from nineteen.subnets(new_prefix=24)


def free_address(block: Block, taken: Collection[str], reserved: int = 2) -> str | None:
    """Return the lowest address of a block that is not taken; None when all are.

    The first `reserved` ones, and that for broadcasts, are never given out.
    """
    for number in range(reserved, block.num_addresses - 1):
        if (address := str(block[number])) not in taken:
            return address
    return None


def of_host(proc: Path = Path("/proc/net")) -> tuple[Block, ...]:
    """Return what this host has itself, or knows a way to: its routes and addresses.

    The default route, and loopback, are left out.
    """
    routes = _routes((proc / "route").read_text())
    addresses = _addresses((proc / "fib_trie").read_text())
    found = {*routes, *addresses}
    return tuple(sorted(b for b in found if b.prefixlen and not b.subnet_of(LOOPBACK)))


def _routes(text: str) -> Iterator[Block]:
    # Source: proc(5): columns are interface, destination, gateway, …, mask as the 8th; the
    # numbers are hexadecimal in the machine's order of bytes.
    for line in text.splitlines()[1:]:
        words = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(words[i]), "little") for i in (1, 7))
        yield Block((address, mask.bit_count()))


def _addresses(text: str) -> Iterator[Block]:
    leaf = ""
    for line in text.splitlines():
        if found := LEAF.search(line):
            leaf = found[1]
        elif (local := LOCAL.search(line)) and leaf:
            yield Block(f"{leaf}/{local[1]}", strict=False)
