"""Addresses of Eucalyptus: each under its IP, of no network."""

import ipaddress
from collections import OrderedDict

from nimbi.driver.network import Addresses
from nimbi.drivers.ec2.errors import AwsError
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.pages import sliced
from nimbi.drivers.ec2.query import extra, items, text
from nimbi.drivers.ec2.session import Element, OfSession, Session
from nimbi.drivers.ec2.wishes import once
from nimbi.model.addresses import Address, NewAddress
from nimbi.model.errors import Conflict, NotFound, UnknownOutcome
from nimbi.model.page import Page

ADDRESSES = "addressesSet/item"
# What stands in the place of an instance's id: nobody holds the address, or nobody uses it.
NOBODY, AVAILABLE = "nobody", "available"
MOST_SENT = 1000


class EucalyptusAddresses(OfSession, Addresses):
    """Public addresses. They have no tags, so a lost answer to a new one can't be looked up."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        # By token: what it gave, None while that is not known.
        self._sent: OrderedDict[str | None, str | None] = OrderedDict()

    async def page(self, marker: str | None, limit: int) -> Page[Address]:
        answer = await self.session.ec2("DescribeAddresses")
        held = (each for each in items(answer, ADDRESSES) if _holder(each) != NOBODY)
        found = sorted((_told(each) for each in held), key=lambda address: address.id)
        return sliced(found, marker, limit)

    async def get(self, id: str) -> Address:
        try:
            asked = {"PublicIp": [str(ipaddress.ip_address(id))]}
        except ValueError:
            raise NotFound(f"there is no address {id[:100]!r}") from None
        answer = await self.session.ec2("DescribeAddresses", asked)
        for address in items(answer, ADDRESSES):
            if _holder(address) != NOBODY:
                return _told(address)
        raise NotFound(f"there is no address {id!r}")

    async def create(self, new: NewAddress) -> Address:
        """Hold one more. Raises UnknownOutcome again when an answer to this token was lost."""

        async def find() -> Address | None:
            if new.token is None or new.token not in self._sent:
                return None
            ip = self._sent[new.token]
            if ip is None:
                raise UnknownOutcome("an address may have been made, the answer was lost")
            return await self.get(ip)

        async def make() -> Address:
            self._sent[new.token] = None
            while len(self._sent) > MOST_SENT:
                self._sent.popitem(last=False)
            try:
                answer = await self.session.ec2("AllocateAddress", changes=True)
            except AwsError:
                self._sent.pop(new.token, None)
                raise
            ip = text(answer, "publicIp") or ""
            self._sent[new.token] = ip
            return Address(id=ip, ip=ip, instance_id=None, extra=extra(answer))

        return await once(self.session, "address", new.token, find, make)

    async def destroy(self, id: str) -> None:
        address = await self.get(id)
        if address.instance_id is not None:
            raise Conflict(f"the address {id} points at the instance {address.instance_id!r}")
        await self.session.ec2("ReleaseAddress", {"PublicIp": address.ip}, changes=True)

    async def associate(self, id: str, instance_id: str) -> None:
        address = await self.get(id)
        known(instance_id, "instance")
        if address.instance_id == instance_id:
            return
        if address.instance_id is not None:
            raise Conflict(f"the address {id} points at the instance {address.instance_id!r}")
        asked = {"PublicIp": address.ip, "InstanceId": instance_id}
        await self.session.ec2("AssociateAddress", asked, changes=True)

    async def disassociate(self, id: str) -> None:
        address = await self.get(id)
        if address.instance_id is None:
            raise Conflict(f"the address {id} points at no instance")
        await self.session.ec2("DisassociateAddress", {"PublicIp": address.ip}, changes=True)


def _told(address: Element) -> Address:
    ip, holder = text(address, "publicIp") or "", _holder(address)
    instance_id = None if holder in {None, NOBODY, AVAILABLE} else holder
    return Address(id=ip, ip=ip, instance_id=instance_id, extra=extra(address))


def _holder(address: Element) -> str | None:
    # Administrators are told whose it is: `i-12345678 (arn:aws:euare::…)`.
    return (text(address, "instanceId") or "").partition(" ")[0] or None
