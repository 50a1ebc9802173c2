"""Network interfaces of the local cloud: the cards of real guests."""

from functools import partial

from nimbi.driver.network import NetworkInterfaces
from nimbi.drivers.local.session import OfSession
from nimbi.model.networks import NetworkInterface, NetworkState, NewNetworkInterface
from nimbi.model.page import Page
from nimbi.qemu.network.records import Card, Records


class LocalNetworkInterfaces(OfSession, NetworkInterfaces):
    """Cards. A guest's first one is made and goes with it; others come and go while it runs."""

    async def page(self, marker: str | None, limit: int) -> Page[NetworkInterface]:
        records = await self.cloud.hypervisor.network.records()
        return self.paged_as(records.cards.values(), partial(_told, records), marker, limit)

    async def get(self, id: str) -> NetworkInterface:
        records = await self.cloud.hypervisor.network.records()
        return _told(records, records.find(Card, id))

    async def create(self, new: NewNetworkInterface) -> NetworkInterface:
        network = self.cloud.hypervisor.network
        made = await network.create_interface(
            guest_id=new.instance_id or "",
            network_id=new.network_id,
            subnet_id=new.subnet_id,
            name=new.name or None,
            token=new.token,
        )
        return _told(await network.records(), made)

    async def destroy(self, id: str) -> None:
        await self.cloud.hypervisor.network.destroy_interface(id)


def _told(records: Records, card: Card) -> NetworkInterface:
    """Return the card as an interface, up while the guest that has it runs."""
    up = card.guest_id in records.running and not card.joining
    return NetworkInterface(
        id=card.id,
        name=card.name,
        state=NetworkState.UP if up and not card.leaving else NetworkState.DOWN,
        ip_address=card.ip,
        network_id=card.network_id,
        subnet_id=card.subnet_id,
        instance_id=card.guest_id,
        extra={"mac": card.mac},
    )
