"""Addresses of the mock cloud, each under its IP as its id."""

import ipaddress

from nimbi.driver.network import Addresses
from nimbi.drivers.mock.attachment import associated, disassociated
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.table import Table
from nimbi.model.addresses import Address, NewAddress
from nimbi.model.errors import Conflict, OutOfCapacity
from nimbi.model.page import Page

BLOCK = ipaddress.IPv4Network("192.168.0.0/16")


@offered
class MockAddresses(OfSession, Addresses):
    """Addresses. A new one is the highest and one more."""

    async def page(self, marker: str | None, limit: int) -> Page[Address]:
        return self.paged(self.session.state.addresses, marker, limit)

    async def get(self, id: str) -> Address:
        return self.session.state.addresses.get(id, "address")

    async def create(self, new: NewAddress) -> Address:
        with self.session.change() as state:
            if made := state.made_with("addresses.create", new.token):
                return state.addresses.get(made[0], "address")
            ip = _next_ip(state.addresses)
            address = Address(id=ip, ip=ip, instance_id=None)
            state.addresses = state.addresses.having(address)
            state.remember("addresses.create", new.token, ip)
            return address

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            address = state.addresses.get(id, "address")
            if address.instance_id is not None:
                raise Conflict(f"the address {id} points at the instance {address.instance_id!r}")
            state.addresses = state.addresses.without(id)

    async def associate(self, id: str, instance_id: str) -> None:
        with self.session.change() as state:
            address = state.addresses.get(id, "address")
            instance = state.instance_of(self.user, instance_id)
            if address.instance_id not in {None, instance_id}:
                raise Conflict(f"the address {id} points at the instance {address.instance_id!r}")
            associated(state, address, instance)

    async def disassociate(self, id: str) -> None:
        with self.session.change() as state:
            address = state.addresses.get(id, "address")
            if address.instance_id is None:
                raise Conflict(f"the address {id} points at no instance")
            disassociated(state, address)


def _next_ip(taken: Table[Address]) -> str:
    numbers = [int(ipaddress.IPv4Address(address.ip)) for address in taken.whole.items]
    first = int(BLOCK.network_address)
    highest = max(numbers, default=first)
    for number in (*range(highest + 1, first + BLOCK.num_addresses), *range(first + 1, highest)):
        # Addresses that end in 0 or 255 are those of a network, for much software.
        if number % 256 not in {0, 255} and (ip := str(ipaddress.IPv4Address(number))) not in taken:
            return ip
    raise OutOfCapacity("the mock cloud has no more addresses")
