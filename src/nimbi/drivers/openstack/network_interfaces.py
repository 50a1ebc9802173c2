"""Network interfaces: Neutron's ports for instances."""

import asyncio
from typing import Any

from nimbi.driver.network import NetworkInterfaces
from nimbi.drivers.openstack.errors import OpenStackError, to_error
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.marks import marked
from nimbi.drivers.openstack.neutron import Json, described, is_of_instance, name_of, page_of
from nimbi.drivers.openstack.session import OfSession, quoted
from nimbi.drivers.openstack.wishes import once
from nimbi.model.errors import (
    CloudUnavailable,
    Conflict,
    Invalid,
    NotFound,
    Throttled,
    UnknownOutcome,
)
from nimbi.model.networks import NetworkInterface, NetworkState, NewNetworkInterface
from nimbi.model.page import Page

PORTS = "/ports"
# Source: https://docs.openstack.org/api-ref/network/v2/#ports
STATES = {"ACTIVE": NetworkState.UP, "BUILD": NetworkState.PENDING}
# After these an attachment may yet be made by asking again.
PASSING = (Throttled, CloudUnavailable, UnknownOutcome)

PAUSE_S = 0.5


class OpenStackNetworkInterfaces(OfSession, NetworkInterfaces):
    """Ports of instances, and those that are free. One that is made here outlives its instance."""

    features = frozenset({"firewalls", "unattached"})

    async def page(self, marker: str | None, limit: int) -> Page[NetworkInterface]:
        items, next = await page_of(self.session, PORTS, marker, limit, wanted=_is_card)
        return Page(tuple(_told(item) for item in items), next)

    async def get(self, id: str) -> NetworkInterface:
        return _told(await self._port(id))

    async def create(self, new: NewNetworkInterface) -> NetworkInterface:
        """Make a port and attach it; what can't be attached is deleted again."""
        wish: dict[str, Any] = {
            "name": name_of(new.name, "network interface"),
            "description": marked(new.token),
        }
        if new.firewall_ids:
            wish["security_groups"] = [known(id, "firewall") for id in new.firewall_ids]
        if new.instance_id is not None:
            await self._check_instance(new.instance_id)
        wish |= await self._place(new)

        async def find() -> NetworkInterface | None:
            for port in await described(self.session, PORTS, wish["description"]):
                return await self._attached(port, new.instance_id)
            return None

        async def make() -> NetworkInterface:
            answer = await self.session.post("network", PORTS, {"port": wish})
            return await self._attached(answer["port"], new.instance_id)

        return await once(self.session, "port", new.token, find, make)

    async def destroy(self, id: str) -> None:
        """Detach it and delete it."""
        port = await self._port(id)
        if port.get("device_id"):
            await self._detach(id, port["device_id"])
            try:
                await self._freed(id, port["device_id"])
            except OpenStackError as error:
                # Nova deletes what it has made itself.
                if isinstance(to_error(error), NotFound):
                    return
                raise
        await self.session.delete("network", f"{PORTS}/{id}")

    async def _port(self, id: str) -> Json:
        path = f"{PORTS}/{known(id, 'network interface')}"
        port: Json = (await self.session.get("network", path))["port"]
        if not _is_card(port):
            raise NotFound(f"the port {id!r} is no interface of an instance")
        return port

    async def _check_instance(self, id: str) -> None:
        await self.session.get("compute", f"/servers/{known(id, 'instance')}")

    async def _place(self, new: NewNetworkInterface) -> dict[str, Any]:
        """Return network and subnet as Neutron wants them."""
        if new.subnet_id is None:
            if new.network_id is None:
                raise Invalid("a network interface needs a network or a subnet")
            await self._check_network(new.network_id)
            return {"network_id": new.network_id}
        path = f"/subnets/{known(new.subnet_id, 'subnet')}"
        network_id = (await self.session.get("network", path))["subnet"]["network_id"]
        if new.network_id not in (None, network_id):
            await self._check_network(str(new.network_id))
            raise Invalid(f"the subnet {new.subnet_id!r} is not in {new.network_id!r}")
        return {"network_id": network_id, "fixed_ips": [{"subnet_id": new.subnet_id}]}

    async def _check_network(self, id: str) -> None:
        await self.session.get("network", f"/networks/{known(id, 'network')}")

    async def _attached(self, port: Json, instance_id: str | None) -> NetworkInterface:
        """Return an interface after attaching it, unless it is attached already."""
        if instance_id is None or port.get("device_id"):
            return _told(port)
        asked = {"interfaceAttachment": {"port_id": port["id"]}}
        path = f"/servers/{instance_id}/os-interface"
        try:
            await self.session.calmed(
                lambda: self.session.post("compute", path, asked),
                lambda: self.session.server_is_busy(instance_id),
            )
        except OpenStackError as error:
            if isinstance(to_error(error), PASSING):
                raise
            # An attempt before may have reached Nova, though its answer was lost.
            if (await self._port(port["id"])).get("device_id") != instance_id:
                await self.session.delete("network", f"{PORTS}/{port['id']}")
                raise
        return await self.get(port["id"])

    async def _detach(self, id: str, instance_id: str) -> None:
        path = f"/servers/{quoted(instance_id)}/os-interface/{id}"
        try:
            await self.session.calmed(
                lambda: self.session.delete("compute", path),
                lambda: self.session.server_is_busy(instance_id),
            )
        except OpenStackError as error:
            # Another one has detached it meanwhile, or the instance is gone.
            if not isinstance(to_error(error), NotFound):
                raise

    async def _freed(self, id: str, instance_id: str) -> None:
        """Return as soon as an interface is free."""
        while device_id := (await self._port(id)).get("device_id"):
            if device_id != instance_id:
                raise Conflict(f"the network interface {id!r} is attached again")
            await asyncio.sleep(PAUSE_S)


def _is_card(port: Json) -> bool:
    return not port.get("device_owner") or is_of_instance(port)


def _told(port: Json) -> NetworkInterface:
    fixed = port.get("fixed_ips") or [{}]
    return NetworkInterface(
        id=port["id"],
        name=port.get("name") or None,
        state=STATES.get(port.get("status") or "", NetworkState.DOWN),
        ip_address=fixed[0].get("ip_address"),
        network_id=port["network_id"],
        subnet_id=fixed[0].get("subnet_id"),
        instance_id=(port.get("device_id") or None) if is_of_instance(port) else None,
        firewall_ids=tuple(port.get("security_groups") or ()),
        extra=port,
    )
