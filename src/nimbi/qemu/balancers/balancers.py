"""Load balancers as they are written down: what may be made, and who is a member."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from nimbi.qemu.errors import Capacity, Conflict, Invalid, NotFound
from nimbi.qemu.network.addresses import free_of
from nimbi.qemu.network.blocks import Block
from nimbi.qemu.network.records import (
    Balancer,
    Listener,
    Records,
    check_name,
    identity,
    wish,
)

PROTOCOLS = ("tcp", "http")
LAST_PORT = 65535
MAX_BALANCERS = 200
MAX_LISTENERS = 20
MAX_MEMBERS = 200
INNER_PORTS = range(20000, 32000)
"""Ports of the fabric's loopback, where nothing else listens."""

Asked = tuple[str, int, int]
"""A listener to be: protocol, port of the balancer, port of the guest."""


def add_balancer(
    records: Records,
    block: Block,
    *,
    name: str,
    listeners: Sequence[Asked],
    token: str | None,
    at: datetime,
    usable: Callable[[str], bool] = lambda ip: True,
) -> tuple[Records, Balancer]:
    """Return the records with a new balancer without members, and the balancer itself.

    It gets the lowest free address of the pool that is `usable`. Raises Invalid, Capacity.
    """
    id, asked = identity(Balancer, token), wish(name, *listeners)
    if made := records.made_before(Balancer, id, asked):
        return records, made
    check_name(name, "load balancer")
    check_listeners(listeners)
    if len(records.balancers) >= MAX_BALANCERS:
        raise Conflict(f"there are {MAX_BALANCERS} load balancers already")
    inner = _free_ports(records, len(listeners))
    made = Balancer(
        id=id,
        name=name,
        created_at=at,
        wish=asked,
        ip=free_of(records, block, usable),
        listeners=tuple(
            Listener(protocol=protocol, port=port, guest_port=guest_port, inner_port=inner_port)
            for (protocol, port, guest_port), inner_port in zip(listeners, inner, strict=True)
        ),
        guest_ids=(),
    )
    return records.having(made), made


def check_listeners(listeners: Sequence[Asked]) -> None:
    """Raise Invalid unless a balancer can have these listeners."""
    if not 1 <= len(listeners) <= MAX_LISTENERS:
        raise Invalid(f"a load balancer has 1 to {MAX_LISTENERS} listeners")
    for protocol, port, guest_port in listeners:
        if protocol not in PROTOCOLS:
            raise Invalid(f"the protocol {protocol!r} is none of {', '.join(PROTOCOLS)}")
        for number in (port, guest_port):
            if not 1 <= number <= LAST_PORT:
                raise Invalid(f"ports are 1 to {LAST_PORT}, not {number}")
    if len({port for _, port, _ in listeners}) < len(listeners):
        raise Invalid("two listeners have the same port of the balancer")


def remove_balancer(records: Records, id: str) -> Records:
    """Return the records without a balancer. Raises NotFound."""
    return records.without(records.find(Balancer, id))


def register(records: Records, id: str, guest_id: str) -> Records:
    """Return the records with a guest among the members; again, it stays one.

    Raises NotFound for the balancer, Conflict when it has as many as it can.
    """
    balancer = records.find(Balancer, id)
    if guest_id in balancer.guest_ids:
        return records
    if len(balancer.guest_ids) >= MAX_MEMBERS:
        raise Conflict(f"the load balancer {id!r} has {MAX_MEMBERS} members already")
    return records.having(replace(balancer, guest_ids=(*balancer.guest_ids, guest_id)))


def unregister(records: Records, id: str, guest_id: str) -> Records:
    """Return the records with a guest that is no member. Raises NotFound when it was none."""
    balancer = records.find(Balancer, id)
    if guest_id not in balancer.guest_ids:
        raise NotFound(f"the load balancer {id!r} has no instance {guest_id!r}")
    rest = tuple(other for other in balancer.guest_ids if other != guest_id)
    return records.having(replace(balancer, guest_ids=rest))


def _free_ports(records: Records, count: int) -> list[int]:
    taken = {
        listener.inner_port
        for balancer in records.balancers.values()
        for listener in balancer.listeners
    }
    free = [port for port in INNER_PORTS if port not in taken][:count]
    if len(free) < count:
        raise Capacity("there are too many listeners")
    return free
