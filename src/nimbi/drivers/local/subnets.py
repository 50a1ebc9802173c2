"""Subnets of the local cloud's networks."""

from nimbi.driver.network import Subnets
from nimbi.drivers.local.session import OfSession
from nimbi.model.networks import NetworkState, NewSubnet, Subnet
from nimbi.model.page import Page
from nimbi.qemu.network.records import Subnet as Kept


class LocalSubnets(OfSession, Subnets):
    """Subnets, up at once. Those of one network reach each other, as firewalls allow."""

    async def page(self, marker: str | None, limit: int) -> Page[Subnet]:
        found = (await self.cloud.hypervisor.network.records()).subnets.values()
        return self.paged_as(found, _told, marker, limit)

    async def get(self, id: str) -> Subnet:
        return _told((await self.cloud.hypervisor.network.records()).find(Kept, id))

    async def create(self, new: NewSubnet) -> Subnet:
        made = await self.cloud.hypervisor.network.create_subnet(
            network_id=new.network_id,
            block=new.address_block,
            name=new.name or None,
            token=new.token,
        )
        return _told(made)

    async def destroy(self, id: str) -> None:
        await self.cloud.hypervisor.network.destroy_subnet(id)


def _told(subnet: Kept) -> Subnet:
    return Subnet(
        id=subnet.id,
        name=subnet.name,
        state=NetworkState.UP,
        address_block=subnet.block,
        network_id=subnet.network_id,
    )
