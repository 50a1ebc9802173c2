"""Addresses of AWS: elastic IPs."""

from typing import Any

from nimbi.driver.network import Addresses
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.pages import sliced
from nimbi.drivers.ec2.query import extra, filters, items, text
from nimbi.drivers.ec2.session import Element, OfSession
from nimbi.drivers.ec2.tags import by_token, specification
from nimbi.drivers.ec2.wishes import once
from nimbi.model.addresses import Address, NewAddress
from nimbi.model.errors import Conflict, NotFound
from nimbi.model.page import Page

GONE = frozenset({"InvalidAllocationID.NotFound"})
ADDRESSES = "addressesSet/item"


class Ec2Addresses(OfSession, Addresses):
    """Elastic IPs, each under its allocation's id. AWS lists them only as a whole."""

    async def page(self, marker: str | None, limit: int) -> Page[Address]:
        answer = await self.session.ec2("DescribeAddresses")
        found = sorted((_told(each) for each in items(answer, ADDRESSES)), key=lambda a: a.id)
        return sliced(found, marker, limit)

    async def get(self, id: str) -> Address:
        return _told(await self._found(id))

    async def create(self, new: NewAddress) -> Address:
        wish = {
            "Domain": "vpc",
            "TagSpecification": specification("elastic-ip", new.token),
        }

        async def find() -> Address | None:
            asked = {"Filter": filters(by_token(new.token))}
            answer = await self.session.ec2("DescribeAddresses", asked)
            return next((_told(each) for each in items(answer, ADDRESSES)), None)

        async def make() -> Address:
            made = _told(await self.session.ec2("AllocateAddress", wish, changes=True))
            self.session.fresh(made.id)
            return made

        return await once(self.session, "address", new.token, find, make)

    async def destroy(self, id: str) -> None:
        address = await self._found(id)
        if text(address, "associationId"):
            raise Conflict(f"the address {id!r} is in use: {_user(address)}")
        await self.session.ec2("ReleaseAddress", {"AllocationId": id}, changes=True)

    async def associate(self, id: str, instance_id: str) -> None:
        address = await self._found(id)
        wish = {
            "AllocationId": id,
            "InstanceId": known(instance_id, "instance"),
            "AllowReassociation": False,
        }
        if text(address, "associationId"):
            if text(address, "instanceId") == instance_id:
                return
            raise Conflict(f"the address {id!r} is in use: {_user(address)}")
        await self.session.ec2("AssociateAddress", wish, changes=True)

    async def disassociate(self, id: str) -> None:
        association_id = text(await self._found(id), "associationId")
        if association_id is None:
            raise Conflict(f"the address {id!r} points at no instance")
        asked = {"AssociationId": association_id}
        await self.session.ec2("DisassociateAddress", asked, changes=True)

    async def _found(self, id: str) -> Element:
        asked: dict[str, Any] = {"AllocationId": [known(id, "address")]}
        answer = await self.session.settled(
            lambda: self.session.ec2("DescribeAddresses", asked), codes=GONE
        )
        for address in items(answer, ADDRESSES):
            return address
        raise NotFound(f"there is no address {id!r}")


def _told(address: Element) -> Address:
    ip = text(address, "publicIp") or text(address, "carrierIp") or ""
    return Address(
        id=text(address, "allocationId") or ip,
        ip=ip,
        instance_id=text(address, "instanceId"),
        extra=extra(address),
    )


def _user(address: Element) -> str:
    return text(address, "instanceId") or text(address, "networkInterfaceId") or "by something"
