"""What Octavia tells of a load balancer, and Neutron of who is behind it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.neutron import Json, all_of, is_of_instance, matching
from nimbi.drivers.openstack.session import Session
from nimbi.model.load_balancers import Listener, ListenerProtocol, LoadBalancer, Member

SERVICE = "load-balancer"
BALANCERS = "/lbaas/loadbalancers"
LISTENERS = "/lbaas/listeners"
POOLS = "/lbaas/pools"

# Source: https://docs.openstack.org/api-ref/load-balancer/v2/#protocol-combinations-listener-pool
# Those that are neither (UDP, SCTP, PROMETHEUS) are left to the cloud's own answer.
DEPTHS = {
    "HTTP": ListenerProtocol.HTTP,
    "TERMINATED_HTTPS": ListenerProtocol.HTTP,
    "TCP": ListenerProtocol.TCP,
    "HTTPS": ListenerProtocol.TCP,
}
# Source: …/api-ref/load-balancer/v2/#operating-status-codes; others tell nothing (yet).
HEALTHS = {"ONLINE": True, "DEGRADED": True, "ERROR": False, "OFFLINE": False}
NO_MONITOR = "NO_MONITOR"
# The tag of a listener of ours with the port of its pool, in which nobody may be yet.
PORT_TAG = "nimbi:instance-port="
# Balancers that are looked at at the same time.
AT_ONCE = 8


@dataclass(frozen=True)
class Pool:
    """A pool behind a listener. `members` are as the status of the balancer has them."""

    id: str
    port: int
    members: Sequence[Json]


@dataclass(frozen=True)
class Parts:
    """A balancer, its listeners, and the pools to which those send traffic, by their ids."""

    balancer: Json
    listeners: Sequence[Listener]
    pools: Mapping[str, Pool]


async def parts_of(session: Session, balancers: Sequence[Json]) -> list[Parts]:
    """Return balancers with their parts, without those that are gone meanwhile."""
    query = {"load_balancer_id": balancers[0]["id"]} if len(balancers) == 1 else {}
    listeners = await all_of(session, LISTENERS, query, service=SERVICE) if balancers else []
    of: dict[str, list[Json]] = {balancer["id"]: [] for balancer in balancers}
    for listener in listeners:
        for owner in listener.get("loadbalancers") or ():
            if owner["id"] in of:
                of[owner["id"]].append(listener)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(balancer: Json) -> Parts | None:
        async with gate:
            try:
                return _parts(balancer, of[balancer["id"]], await _pools(session, balancer["id"]))
            except OpenStackError as error:
                # It went between the list and the look at it.
                if error.status == 404:
                    return None
                raise

    found = await asyncio.gather(*(one(balancer) for balancer in balancers))
    return [parts for parts in found if parts is not None]


async def told(session: Session, balancers: Sequence[Json]) -> list[LoadBalancer]:
    """Return balancers as clients see them."""
    found = await parts_of(session, balancers)
    addresses = {
        member["address"]
        for parts in found
        for pool in parts.pools.values()
        for member in pool.members
    }
    ports = [each["vip_port_id"] for each in balancers if each.get("vip_port_id")]
    users, outer = await asyncio.gather(
        _users(session, addresses), matching(session, "/floatingips", "port_id", ports)
    )
    public = {each["port_id"]: each["floating_ip_address"] for each in outer}
    return [_told(parts, users, public) for parts in found]


def _told(
    parts: Parts, users: Mapping[str, Sequence[str]], public: Mapping[str, str]
) -> LoadBalancer:
    balancer = parts.balancer
    address = public.get(balancer.get("vip_port_id") or "") or balancer.get("vip_address")
    members = merged(
        member
        for pool in parts.pools.values()
        for each in pool.members
        if (member := _member(each, users))
    )
    zone = balancer.get("availability_zone")
    return LoadBalancer(
        id=balancer["id"],
        name=balancer.get("name") or None,
        public_addresses=(address,) if address else (),
        created_at=_time(balancer.get("created_at")),
        realm_ids=(zone,) if zone else (),
        listeners=tuple(parts.listeners),
        instance_ids=tuple(member.instance_id for member in members),
        members=members,
        extra=balancer,
    )


def merged(members: Iterable[Member]) -> tuple[Member, ...]:
    """Return each instance once: it is as healthy as in that pool where it is worst."""
    worst: dict[str, Member] = {}
    for member in members:
        other = worst.get(member.instance_id)
        if other is None or _rank(member) < _rank(other):
            worst[member.instance_id] = member
    return tuple(worst[id] for id in sorted(worst))


def _rank(member: Member) -> int:
    return (False, None, True).index(member.healthy)


async def _pools(session: Session, id: str) -> Mapping[str, Sequence[Json]]:
    """Return the members of each pool of a balancer."""
    answer = await session.get(SERVICE, f"{BALANCERS}/{id}/status")
    tree = answer["statuses"]["loadbalancer"]
    listeners = tree.get("listeners") or ()
    of_listeners = [pool for listener in listeners for pool in listener.get("pools") or ()]
    pools = [*of_listeners, *(tree.get("pools") or ())]
    return {pool["id"]: pool.get("members") or () for pool in pools}


def _parts(
    balancer: Json, listeners: Iterable[Json], members: Mapping[str, Sequence[Json]]
) -> Parts:
    found: list[Listener] = []
    pools: dict[str, Pool] = {}
    for each in sorted(listeners, key=lambda listener: int(listener["protocol_port"])):
        depth, pool_id = DEPTHS.get(each["protocol"]), each.get("default_pool_id")
        if depth is None or pool_id is None:
            continue
        inner = members.get(pool_id, ())
        port = _instance_port(each, inner)
        found.append(Listener(depth, each["protocol_port"], port))
        pools.setdefault(pool_id, Pool(pool_id, port, inner))
    return Parts(balancer, found, pools)


def _instance_port(listener: Json, members: Sequence[Json]) -> int:
    """Return where traffic goes: as our tag says, or where it goes with others' balancers."""
    for tag in listener.get("tags") or ():
        if tag.startswith(PORT_TAG) and tag.removeprefix(PORT_TAG).isdecimal():
            return int(tag.removeprefix(PORT_TAG))
    return int(members[0]["protocol_port"] if members else listener["protocol_port"])


async def _users(session: Session, addresses: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """Return the instances that have these addresses now."""
    filters = [f"ip_address={address}" for address in addresses]
    query = {"fields": ["id", "device_id", "device_owner", "fixed_ips"]}
    users: dict[str, list[str]] = {}
    for port in await matching(session, "/ports", "fixed_ips", filters, query):
        if is_of_instance(port):
            for fixed in port["fixed_ips"]:
                users.setdefault(fixed["ip_address"], []).append(port["device_id"])
    return users


def _member(member: Json, users: Mapping[str, Sequence[str]]) -> Member | None:
    """Return which instance a member is; None of what is none, or is in several networks."""
    found = users.get(member["address"], ())
    # Members of ours have the instance's id as their name.
    id = found[0] if len(found) == 1 else member.get("name")
    if id not in found:
        return None
    status = member.get("operating_status")
    healthy = HEALTHS.get(status or "")
    reason = None if healthy or status in (None, NO_MONITOR) else status
    return Member(instance_id=str(id), healthy=healthy, reason=reason)


def _time(told: Any) -> datetime | None:
    """Return a time of Octavia, which is UTC and does not say so."""
    try:
        time = datetime.fromisoformat(str(told))
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
