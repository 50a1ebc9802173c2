"""Addresses: Neutron's floating IPs."""

from nimbi.driver.network import Addresses
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.external import external_network
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.marks import marked
from nimbi.drivers.openstack.neutron import (
    Json,
    all_of,
    described,
    is_of_instance,
    page_of,
)
from nimbi.drivers.openstack.session import OfSession
from nimbi.drivers.openstack.wishes import once
from nimbi.model.addresses import Address, NewAddress
from nimbi.model.errors import Conflict
from nimbi.model.page import Page

# How Neutron says that an address is not as it was.
CHANGED = 412
TRIES = 5

FLOATING_IPS = "/floatingips"
# No router of the project leads from that port to the network of the address.
NO_WAY = "ExternalGatewayForFloatingIPNotFound"
# What Neutron calls a port whose address, of all its own, is pointed at already.
TAKEN = "FloatingIPPortAlreadyAssociated"


class OpenStackAddresses(OfSession, Addresses):
    """Floating IPs of the project, from the network that `external.external_network` tells.

    One points at a port of an instance: the first from which a router leads to its network.
    """

    async def page(self, marker: str | None, limit: int) -> Page[Address]:
        items, next = await page_of(self.session, FLOATING_IPS, marker, limit)
        return Page(tuple([await self._told(item) for item in items]), next)

    async def get(self, id: str) -> Address:
        return await self._told(await self._found(id))

    async def create(self, new: NewAddress) -> Address:
        description = marked(new.token)

        async def find() -> Address | None:
            for found in await described(self.session, FLOATING_IPS, description):
                return await self._told(found)
            return None

        async def make() -> Address:
            network_id = await external_network(self.session)
            wish = {"floating_network_id": network_id, "description": description}
            answer = await self.session.post("network", FLOATING_IPS, {"floatingip": wish})
            return await self._told(answer["floatingip"])

        return await once(self.session, "address", new.token, find, make)

    async def destroy(self, id: str) -> None:
        address = await self._found(id)
        if address.get("port_id"):
            raise Conflict(f"the address {id!r} is in use: {address['port_id']}")
        await self._change("DELETE", address, None)

    async def associate(self, id: str, instance_id: str) -> None:
        address = await self._found(id)
        if address.get("port_id"):
            if await self._user(address) == known(instance_id, "instance"):
                return
            raise Conflict(f"the address {id!r} is in use: {address['port_id']}")
        refusal: OpenStackError | None = None
        for port_id, ip in await self._ends(instance_id):
            try:
                await self._change("PUT", address, {"port_id": port_id, "fixed_ip_address": ip})
            except OpenStackError as error:
                if error.code not in (NO_WAY, TAKEN):
                    raise
                refusal = error
            else:
                return
        if refusal is None:
            raise Conflict(f"the instance {instance_id!r} has no address of IPv4 yet")
        raise Conflict(refusal.message) from refusal

    async def disassociate(self, id: str) -> None:
        address = await self._found(id)
        if not address.get("port_id"):
            raise Conflict(f"the address {id!r} points at no instance")
        await self._change("PUT", address, {"port_id": None})

    async def _found(self, id: str) -> Json:
        path = f"{FLOATING_IPS}/{known(id, 'address')}"
        found: Json = (await self.session.get("network", path))["floatingip"]
        return found

    async def _change(self, method: str, address: Json, change: Json | None) -> None:
        """Change or delete an address. Raises Conflict when somebody else has changed it."""
        body = None if change is None else {"floatingip": change}
        path = f"{FLOATING_IPS}/{address['id']}"
        here = address
        for tries_left in reversed(range(TRIES)):
            headers = {"If-Match": f"revision_number={here['revision_number']}"}
            try:
                await self.session.call(
                    method, "network", path, body=body, headers=headers, changes=True
                )
            except OpenStackError as error:
                if error.status != CHANGED or not tries_left:
                    raise
                # Neutron changes it, too: its status follows some time after its port.
                here = await self._found(address["id"])
                if here.get("port_id") != address.get("port_id"):
                    raise
            else:
                return

    async def _ends(self, instance_id: str) -> list[tuple[str, str]]:
        """Return ports of an instance and their addresses. Raises NotFound when there is none."""
        query = {"device_id": known(instance_id, "instance")}
        ports = [
            port for port in await all_of(self.session, "/ports", query) if is_of_instance(port)
        ]
        if not ports:
            await self.session.get("compute", f"/servers/{instance_id}")
        return [
            (port["id"], fixed["ip_address"])
            for port in ports
            for fixed in port["fixed_ips"]
            if ":" not in fixed["ip_address"]
        ]

    async def _told(self, address: Json) -> Address:
        return Address(
            id=address["id"],
            ip=address["floating_ip_address"],
            instance_id=await self._user(address),
            extra=address,
        )

    async def _user(self, address: Json) -> str | None:
        """Return the id of the instance to which an address points."""
        if not address.get("port_id"):
            return None
        port = address.get("port_details")
        if port is None:
            # Clouds older than Rocky do not tell of the port.
            port = await self._port(address["port_id"])
        return port["device_id"] if is_of_instance(port) else None

    async def _port(self, id: str) -> Json:
        try:
            port: Json = (await self.session.get("network", f"/ports/{id}"))["port"]
        except OpenStackError as error:
            if error.status != 404:
                raise
            return {}
        return port
