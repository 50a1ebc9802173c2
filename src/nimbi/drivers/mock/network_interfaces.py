"""Network interfaces of the mock cloud."""

from typing import ClassVar

import msgspec

from nimbi.driver.network import NetworkInterfaces
from nimbi.drivers.mock.joining import STAYS, interface
from nimbi.drivers.mock.naming import shown
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.world import State
from nimbi.model.errors import Invalid
from nimbi.model.instances import Instance
from nimbi.model.networks import (
    Network,
    NetworkInterface,
    NetworkState,
    NewNetworkInterface,
    Subnet,
)
from nimbi.model.page import Page


@offered
class MockNetworkInterfaces(OfSession, NetworkInterfaces):
    """Interfaces. Each has the lowest free address of its subnet, else of its network."""

    features: ClassVar[frozenset[str]] = frozenset({"firewalls", "unattached"})

    async def page(self, marker: str | None, limit: int) -> Page[NetworkInterface]:
        return self.paged(self.session.state.network_interfaces, marker, limit)

    async def get(self, id: str) -> NetworkInterface:
        return self.session.state.network_interfaces.get(id, "network interface")

    async def create(self, new: NewNetworkInterface) -> NetworkInterface:
        name = shown(new.name or "", "the name of the network interface")
        with self.session.change() as state:
            if made := state.made_with("network_interfaces.create", new.token):
                return state.network_interfaces.get(made[0], "network interface")
            network, subnet = _place(state, new)
            walls = tuple(dict.fromkeys(new.firewall_ids))
            for wall in walls:
                state.firewalls.get(wall, "firewall")
            nic = interface(state, network, subnet, name)
            nic = msgspec.structs.replace(nic, firewall_ids=walls, extra={STAYS: True})
            if new.instance_id is not None:
                nic = _attached(state, state.instance_of(self.user, new.instance_id), nic)
            state.network_interfaces = state.network_interfaces.having(nic)
            state.remember("network_interfaces.create", new.token, nic.id)
            return nic

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            nic = state.network_interfaces.get(id, "network interface")
            state.network_interfaces = state.network_interfaces.without(id)
            if instance := state.instances.find(nic.instance_id or ""):
                rest = tuple(other for other in instance.network_interface_ids if other != id)
                instance = msgspec.structs.replace(instance, network_interface_ids=rest)
                state.instances = state.instances.having(instance)


def _attached(state: State, instance: Instance, nic: NetworkInterface) -> NetworkInterface:
    """Return the interface, now at the instance, with which it goes."""
    nics = (*instance.network_interface_ids, nic.id)
    instance = msgspec.structs.replace(instance, network_interface_ids=nics)
    state.instances = state.instances.having(instance)
    return msgspec.structs.replace(nic, instance_id=instance.id, state=NetworkState.UP, extra={})


def _place(state: State, new: NewNetworkInterface) -> tuple[Network, Subnet | None]:
    if new.subnet_id is None:
        if new.network_id is None:
            raise Invalid("a network interface needs a network or a subnet")
        return state.networks.get(new.network_id, "network"), None
    subnet = state.subnets.get(new.subnet_id, "subnet")
    if new.network_id not in {None, subnet.network_id}:
        state.networks.get(new.network_id or "", "network")
        raise Invalid(f"the subnet {subnet.id!r} is not in the network {new.network_id!r}")
    return state.networks.get(subnet.network_id, "network"), subnet
