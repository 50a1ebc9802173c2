"""Networks of Neutron."""

from collections.abc import Iterable, Sequence

from nimbi.driver.network import Networks
from nimbi.drivers.openstack import leaving
from nimbi.drivers.openstack.blocks import is_within, parsed
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
from nimbi.model.networks import Network, NetworkState, NewNetwork
from nimbi.model.page import Page

NETWORKS = "/networks"
# Source: https://docs.openstack.org/api-ref/network/v2/#networks
STATES = {"ACTIVE": NetworkState.UP, "BUILD": NetworkState.PENDING}


class OpenStackNetworks(OfSession, Networks):
    """Networks of the project, and those that others share with it or that lead outside.

    A network itself has no addresses in OpenStack, only its subnets have: the block that was asked
    for is kept in the description, and subnets that are made here lie in it.
    """

    async def page(self, marker: str | None, limit: int) -> Page[Network]:
        items, next = await page_of(self.session, NETWORKS, marker, limit)
        return Page(tuple(await self._told(items)), next)

    async def get(self, id: str) -> Network:
        answer = await self.session.get("network", f"{NETWORKS}/{known(id, 'network')}")
        return (await self._told([answer["network"]]))[0]

    async def create(self, new: NewNetwork) -> Network:
        block = None if new.address_block is None else str(parsed(new.address_block))
        wish = {
            "name": name_of(new.name, "network"),
            "description": marked(new.token, block=block),
        }

        async def find() -> Network | None:
            found = await described(self.session, NETWORKS, wish["description"])
            return next(iter(await self._told(found)), None)

        async def make() -> Network:
            answer = await self.session.post("network", NETWORKS, {"network": wish})
            return told(answer["network"], ())

        return await once(self.session, "network", new.token, find, make)

    async def destroy(self, id: str) -> None:
        """Remove it with its subnets, which Neutron does as one."""
        path = f"{NETWORKS}/{known(id, 'network')}"
        await leaving.delete(self.session, path, {"network_id": id})

    async def _told(self, networks: Sequence[Json]) -> list[Network]:
        ids = [network["id"] for network in networks]
        # A network names subnets, too, that only its owner may see.
        fields = {"fields": ["id", "network_id", "cidr"]}
        within: dict[str, list[Json]] = {id: [] for id in ids}
        for subnet in await matching(self.session, "/subnets", "network_id", ids, fields):
            within[subnet["network_id"]].append(subnet)
        return [told(each, within[id]) for each, id in zip(networks, ids, strict=True)]


def told(network: Json, subnets: Iterable[Json]) -> Network:
    """Return the network that Neutron tells of, with those of its subnets that can be seen."""
    own = mark(network.get("description"), "block")
    inner = sorted(subnets, key=lambda subnet: str(subnet["id"]))
    return Network(
        id=network["id"],
        name=network.get("name") or None,
        state=STATES.get(network.get("status") or "", NetworkState.DOWN),
        address_blocks=_blocks(own, [subnet["cidr"] for subnet in inner]),
        subnet_ids=tuple(subnet["id"] for subnet in inner),
        extra=network,
    )


def _blocks(own: str | None, of_subnets: Iterable[str]) -> tuple[str, ...]:
    """Return the network's block, and those of subnets outside of it."""
    if own is None:
        return tuple(dict.fromkeys(of_subnets))
    outside = (block for block in of_subnets if not is_within(parsed(block), parsed(own)))
    return (own, *dict.fromkeys(outside))
