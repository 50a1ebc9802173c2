"""What a wish for a load balancer means to Octavia: one request with all its parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nimbi.drivers.openstack.balancer_facts import PORT_TAG, SERVICE
from nimbi.drivers.openstack.errors import OpenStackError, to_error
from nimbi.drivers.openstack.neutron import Json, all_of, matching, name_of
from nimbi.drivers.openstack.routers import OWNERS
from nimbi.drivers.openstack.session import Session
from nimbi.model.errors import Forbidden, Invalid, NotFound, Unsupported
from nimbi.model.load_balancers import Listener, ListenerProtocol, NewLoadBalancer

PROTOCOLS = {ListenerProtocol.HTTP: "HTTP", ListenerProtocol.TCP: "TCP"}
TOKEN_TAG = "nimbi:token="  # noqa: S105  the name of a tag
LAST_PORT = 65535
# A port that takes connections is healthy: what an application answers is its own affair.
MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}


@dataclass(frozen=True)
class Site:
    """The subnet in which a balancer has its address, and the network from which it is reached.

    `external_network_id` is None when nothing leads to the subnet, or it leads outside itself.
    """

    subnet_id: str
    external_network_id: str | None


def checked(listeners: Sequence[Listener]) -> None:
    """Raise Invalid for listeners that make no sense together."""
    if not listeners:
        raise Invalid("a load balancer needs at least one listener")
    for listener in listeners:
        for port in (listener.balancer_port, listener.instance_port):
            if not 1 <= port <= LAST_PORT:
                raise Invalid(f"ports are 1 to {LAST_PORT}, not {port}")
    if len({listener.balancer_port for listener in listeners}) < len(listeners):
        raise Invalid("two listeners have the same port of the balancer")


def graph(new: NewLoadBalancer, tag: str, site: Site, zone: str | None) -> dict[str, Any]:
    """Return the body of the request that makes a balancer with all its parts."""
    wish = {
        "name": name_of(new.name, "load balancer"),
        "vip_subnet_id": site.subnet_id,
        "tags": [tag],
        "listeners": [_listener(listener) for listener in new.listeners],
    }
    return {"loadbalancer": wish if zone is None else {**wish, "availability_zone": zone}}


def _listener(listener: Listener) -> dict[str, Any]:
    protocol = PROTOCOLS[listener.protocol]
    name = f"nimbi-{listener.balancer_port}"
    return {
        "name": name,
        "protocol": protocol,
        "protocol_port": listener.balancer_port,
        "tags": [f"{PORT_TAG}{listener.instance_port}"],
        "default_pool": {
            "name": name,
            "protocol": protocol,
            "lb_algorithm": "ROUND_ROBIN",
            "healthmonitor": {"name": name, **MONITOR},
        },
    }


async def site_of(session: Session) -> Site:
    """Return where balancers are: as the settings say, else where instances can be reached.

    That is the oldest subnet behind a router that leads outside, else the project's oldest one.
    Raises Invalid when there is none.
    """
    subnets = await _candidates(session)
    gateways = await _gateways(session, [subnet["id"] for subnet in subnets])
    if not subnets:
        raise Invalid("there is no subnet in which a load balancer could have an address")
    reachable = [subnet for subnet in subnets if subnet["id"] in gateways]
    chosen = min(reachable or subnets, key=lambda each: (each.get("created_at") or "", each["id"]))
    return Site(chosen["id"], gateways.get(chosen["id"]))


async def zone_of(session: Session, realm_id: str | None) -> str | None:
    """Return the zone of Octavia for a realm; None where balancers are in no zone.

    Raises Invalid for a realm that the cloud does not have.
    """
    if realm_id is None:
        return None
    try:
        path, key = "/lbaas/availabilityzones", "availability_zones"
        zones = [zone async for zone in session.each(SERVICE, path, key)]
    except OpenStackError as error:
        # Older than 2.14, or none of a project's business.
        if not isinstance(to_error(error), NotFound | Forbidden | Unsupported):
            raise
        zones = []
    if zones:
        names, own = {zone["name"] for zone in zones}, realm_id
    else:
        answer = await session.get("compute", "/os-availability-zone")
        names, own = {zone["zoneName"] for zone in answer["availabilityZoneInfo"]}, None
    if realm_id not in names:
        raise Invalid(f"there is no realm {realm_id[:100]!r} for load balancers")
    return own


async def _candidates(session: Session) -> list[Json]:
    wanted = session.settings.balancer_subnet
    query = {"ip_version": 4} if wanted is None else {}
    subnets = await all_of(session, "/subnets", query)
    if wanted is None:
        own = await session.project()
        return [subnet for subnet in subnets if subnet.get("project_id") == own]
    named = [subnet for subnet in subnets if wanted in (subnet["id"], subnet.get("name"))]
    if not named:
        raise Invalid(f"there is no subnet {wanted!r}, which the settings name")
    return named


async def _gateways(session: Session, subnet_ids: Sequence[str]) -> dict[str, str]:
    """Return the external networks to which routers lead from subnets."""
    routers = await all_of(session, "/routers", {"fields": ["id", "external_gateway_info"]})
    outside = {
        router["id"]: router["external_gateway_info"]["network_id"]
        for router in routers
        if router.get("external_gateway_info")
    }
    query = {"device_owner": OWNERS, "fields": ["id", "device_id", "fixed_ips"]}
    ports = await matching(session, "/ports", "device_id", outside, query)
    found = {fixed["subnet_id"]: outside[p["device_id"]] for p in ports for fixed in p["fixed_ips"]}
    return {id: found[id] for id in subnet_ids if id in found}
