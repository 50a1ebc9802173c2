"""Subnets of Neutron."""

from collections.abc import Iterable
from typing import Any

from nimbi.driver.network import Subnets
from nimbi.drivers.openstack import leaving
from nimbi.drivers.openstack.blocks import Block, is_within, parsed
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.marks import mark, marked
from nimbi.drivers.openstack.neutron import (
    Json,
    described,
    matching,
    name_of,
    page_of,
)
from nimbi.drivers.openstack.session import OfSession
from nimbi.drivers.openstack.wishes import once
from nimbi.model.errors import Invalid
from nimbi.model.networks import NetworkState, NewSubnet, Subnet
from nimbi.model.page import Page

SUBNETS = "/subnets"
EXTERNAL = "router:external"
# What guests of IPv6 can make an address from by themselves.
# Source: https://datatracker.ietf.org/doc/html/rfc4862
SLAAC_PREFIX = 64


class OpenStackSubnets(OfSession, Subnets):
    """Subnets. One is public when it is of a network that leads outside."""

    async def page(self, marker: str | None, limit: int) -> Page[Subnet]:
        items, next = await page_of(self.session, SUBNETS, marker, limit)
        return Page(tuple(await self._told(items)), next)

    async def get(self, id: str) -> Subnet:
        answer = await self.session.get("network", f"{SUBNETS}/{known(id, 'subnet')}")
        return (await self._told([answer["subnet"]]))[0]

    async def create(self, new: NewSubnet) -> Subnet:
        block = parsed(new.address_block)
        wish = {
            "network_id": known(new.network_id, "network"),
            "cidr": str(block),
            "name": name_of(new.name, "subnet"),
            "description": marked(new.token),
            **_family(block),
        }

        async def find() -> Subnet | None:
            found = await described(self.session, SUBNETS, wish["description"])
            return next(iter(await self._told(found)), None)

        async def make() -> Subnet:
            network = await self._network(new.network_id)
            own = mark(network.get("description"), "block")
            if own and not is_within(block, parsed(own)):
                raise Invalid(f"the block {block} is not within {own} of its network")
            answer = await self.session.post("network", SUBNETS, {"subnet": wish})
            return _told(answer["subnet"], bool(network.get(EXTERNAL)))

        return await once(self.session, "subnet", new.token, find, make)

    async def destroy(self, id: str) -> None:
        path = f"{SUBNETS}/{known(id, 'subnet')}"
        await leaving.delete(self.session, path, {"fixed_ips": f"subnet_id={id}"})

    async def _network(self, id: str) -> Json:
        answer = await self.session.get("network", f"/networks/{id}")
        network: Json = answer["network"]
        return network

    async def _told(self, subnets: Iterable[Json]) -> list[Subnet]:
        subnets = list(subnets)
        query = {EXTERNAL: True, "fields": ["id"]}
        ids = {subnet["network_id"] for subnet in subnets}
        outer = {each["id"] for each in await matching(self.session, "/networks", "id", ids, query)}
        return [_told(subnet, subnet["network_id"] in outer) for subnet in subnets]


def _told(subnet: Json, is_public: bool) -> Subnet:
    return Subnet(
        id=subnet["id"],
        name=subnet.get("name") or None,
        # Neutron knows no other state of a subnet.
        state=NetworkState.UP,
        address_block=subnet["cidr"],
        network_id=subnet["network_id"],
        kind="public" if is_public else "private",
        extra=subnet,
    )


def _family(block: Block) -> dict[str, Any]:
    """Return what tells guests their addresses: DHCP, or routers where IPv6 allows that."""
    if block.version == 4:
        return {"ip_version": 4}
    mode = "slaac" if block.prefixlen == SLAAC_PREFIX else "dhcpv6-stateful"
    return {"ip_version": 6, "ipv6_address_mode": mode, "ipv6_ra_mode": mode}
