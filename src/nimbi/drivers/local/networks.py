"""Networks of the local cloud: isolated from each other, on this machine's fabric."""

from functools import partial

from nimbi.driver.network import Networks
from nimbi.drivers.local.session import OfSession
from nimbi.model.networks import Network, NetworkState, NewNetwork
from nimbi.model.page import Page
from nimbi.qemu.network.networks import subnets_of
from nimbi.qemu.network.records import NetworkRecord, Records


class LocalNetworks(OfSession, Networks):
    """Networks, up at once. The network `default` is always there."""

    async def page(self, marker: str | None, limit: int) -> Page[Network]:
        records = await self.cloud.hypervisor.network.records()
        return self.paged_as(records.networks.values(), partial(_told, records), marker, limit)

    async def get(self, id: str) -> Network:
        records = await self.cloud.hypervisor.network.records()
        return _told(records, records.find(NetworkRecord, id))

    async def create(self, new: NewNetwork) -> Network:
        network = self.cloud.hypervisor.network
        made = await network.create_network(
            name=new.name or None, block=new.address_block, token=new.token
        )
        return _told(await network.records(), made)

    async def destroy(self, id: str) -> None:
        await self.cloud.hypervisor.network.destroy_network(id)


def _told(records: Records, network: NetworkRecord) -> Network:
    return Network(
        id=network.id,
        name=network.name,
        state=NetworkState.UP,
        address_blocks=(network.block,),
        subnet_ids=tuple(subnet.id for subnet in subnets_of(records, network.id)),
    )
