"""Addresses of the local cloud: of this machine's loopback, unless the settings say otherwise."""

from nimbi.driver.network import Addresses
from nimbi.drivers.local.session import OfSession
from nimbi.model.addresses import Address, NewAddress
from nimbi.model.page import Page
from nimbi.qemu.network.records import Address as Kept


class LocalAddresses(OfSession, Addresses):
    """Held addresses. The published ports of a guest answer there under their own numbers."""

    async def page(self, marker: str | None, limit: int) -> Page[Address]:
        found = (await self.cloud.hypervisor.network.records()).addresses.values()
        return self.paged_as(found, _told, marker, limit)

    async def get(self, id: str) -> Address:
        return _told((await self.cloud.hypervisor.network.records()).find(Kept, id))

    async def create(self, new: NewAddress) -> Address:
        return _told(await self.cloud.hypervisor.network.create_address(new.token))

    async def destroy(self, id: str) -> None:
        await self.cloud.hypervisor.network.destroy_address(id)

    async def associate(self, id: str, instance_id: str) -> None:
        await self.cloud.hypervisor.network.associate(id, instance_id)

    async def disassociate(self, id: str) -> None:
        await self.cloud.hypervisor.network.disassociate(id)


def _told(address: Kept) -> Address:
    return Address(id=address.id, ip=address.ip, instance_id=address.guest_id)
