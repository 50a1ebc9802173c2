"""Addresses of this host that are held, and point at guests."""

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from nimbi.qemu.errors import Capacity, Conflict, Invalid
from nimbi.qemu.network.blocks import Block, free_address
from nimbi.qemu.network.records import Address, Records, identity, wish

STATIC = Block("127.83.0.0/24")
BALANCED = Block("127.84.0.0/24")
"""Usual pools: any address of 127.0.0.0/8 is this host's own, on Linux, without being set up."""

LARGEST = 16
UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def pool(text: str) -> Block:
    """Return a pool of addresses, given as a block. Raises Invalid."""
    try:
        block = Block(text)
    except ValueError as error:
        raise Invalid(f"the pool {text!r} is no block of IPv4 addresses: {error}") from None
    if block.prefixlen < LARGEST:
        raise Invalid(f"the pool {block} is larger than a /{LARGEST}")
    if block.is_multicast or ipaddress.IPv4Address("127.0.0.1") in block:
        raise Invalid(f"the pool {block} holds addresses that are in use by others")
    return block


def add_address(
    records: Records,
    block: Block,
    token: str | None,
    at: datetime,
    usable: Callable[[str], bool] = lambda ip: True,
) -> tuple[Records, Address]:
    """Return the records with one more held address, the lowest free one, and the address itself.

    It is one that is `usable`: another cloud of this machine may have the same pool. Raises
    Invalid for a bad token, Capacity when all of the pool are held.
    """
    id, asked = identity(Address, token), wish()
    if made := records.made_before(Address, id, asked):
        return records, made
    ip = free_of(records, block, usable)
    made = Address(id=id, name=None, created_at=at, wish=asked, ip=ip, guest_id=None)
    return records.having(made), made


def free_of(records: Records, block: Block, usable: Callable[[str], bool]) -> str:
    """Return the lowest usable address of a pool that nothing holds. Raises Capacity."""
    taken = {address.ip for address in records.addresses.values()}
    taken |= {balancer.ip for balancer in records.balancers.values()}
    while (ip := free_address(block, taken, 1)) and not usable(ip):
        taken.add(ip)
    if ip is None:
        raise Capacity(f"all addresses of {block} are held, or in use by other programs")
    return ip


def remove_address(records: Records, id: str) -> Records:
    """Return the records without an address. Raises NotFound, Conflict while it is in use."""
    address = records.find(Address, id)
    if address.guest_id is not None:
        raise Conflict(f"the address {address.ip} points at {address.guest_id}")
    return records.without(address)


def associate(records: Records, id: str, guest_id: str) -> Records:
    """Return the records with an address that points at a guest; again, it is left as it is.

    Raises NotFound, and Conflict when it points at another one.
    """
    address = records.find(Address, id)
    if address.guest_id not in {None, guest_id}:
        raise Conflict(f"the address {address.ip} points at {address.guest_id}")
    return records.having(replace(address, guest_id=guest_id))


def disassociate(records: Records, id: str) -> Records:
    """Return the records with an address that is free. Raises NotFound, Conflict when it is so."""
    address = records.find(Address, id)
    if address.guest_id is None:
        raise Conflict(f"the address {address.ip} points at nothing")
    return records.having(replace(address, guest_id=None))


def addresses_of(records: Records, guest_id: str) -> list[Address]:
    """Return the addresses that point at a guest, the oldest first."""
    found = [a for a in records.addresses.values() if a.guest_id == guest_id]
    return sorted(found, key=lambda address: (address.created_at, address.id))


def can_bind(block: Block, port: int) -> bool:
    """Say whether this process may listen at addresses of the pool, on this port."""
    return bind_error(str(block[1]), port) in {None, errno.EADDRINUSE}


def anybody_can_bind(port: int) -> bool:
    """Say whether a program without any rights may listen on this port."""
    return port >= int(UNPRIVILEGED.read_text())


def unused(ip: str, *ports: int) -> bool:
    """Say whether no program listens at any of these ports."""
    return all(bind_error(ip, port) != errno.EADDRINUSE for port in ports)


def bind_error(ip: str, port: int) -> int | None:
    """Return the errno with which listening there fails; None when it would do."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError as error:
            return error.errno
    return None
