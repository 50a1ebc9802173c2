"""Interfaces of networking: addresses, firewalls, networks and load balancers."""

from typing import ClassVar

from nimbi.driver.operation import Collection, repeatable, safe
from nimbi.model.addresses import Address, NewAddress
from nimbi.model.firewalls import Firewall, NewFirewall, NewRule
from nimbi.model.load_balancers import LoadBalancer, NewLoadBalancer
from nimbi.model.networks import (
    Network,
    NetworkInterface,
    NewNetwork,
    NewNetworkInterface,
    NewSubnet,
    Subnet,
)
from nimbi.model.page import Page
from nimbi.model.routers import NewRouter, Router


class Addresses(Collection):
    """Public addresses."""

    name: ClassVar[str] = "addresses"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Address]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Address:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewAddress) -> Address:
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        """Give the address back. Raises Conflict while it points at an instance."""
        raise NotImplementedError

    async def associate(self, id: str, instance_id: str) -> None:
        """Point the address at an instance. Raises Conflict when it points at another."""
        raise NotImplementedError

    async def disassociate(self, id: str) -> None:
        """Free the address. Raises Conflict when it is free already."""
        raise NotImplementedError


class Firewalls(Collection):
    """Sets of rules that let traffic in."""

    name: ClassVar[str] = "firewalls"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Firewall]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Firewall:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewFirewall) -> Firewall:
        """Return the firewall, without rules. Raises Conflict when the name is in use."""
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        """Remove it. Raises Conflict while an instance stands behind it."""
        raise NotImplementedError

    @repeatable
    async def create_rule(self, id: str, new: NewRule) -> Firewall:
        """Return the firewall with the new rule. The same rule twice is a Conflict."""
        raise NotImplementedError

    @repeatable
    async def destroy_rule(self, id: str, rule_id: str) -> None:
        raise NotImplementedError


class Networks(Collection):
    """Private networks."""

    name: ClassVar[str] = "networks"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Network]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Network:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewNetwork) -> Network:
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        """Remove a network and its subnets.

        Raises Conflict while an interface is in it, or a router leads to it.
        """
        raise NotImplementedError


class Subnets(Collection):
    """Parts of networks."""

    name: ClassVar[str] = "subnets"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Subnet]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Subnet:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewSubnet) -> Subnet:
        """Return the subnet. Raises NotFound for an unknown network, Invalid for a bad block."""
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        """Remove it. Raises Conflict while an interface is in it, or a router."""
        raise NotImplementedError


class Routers(Collection):
    """What joins subnets to each other and to the world."""

    name: ClassVar[str] = "routers"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Router]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Router:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewRouter) -> Router:
        """Return the router. Raises NotFound or Invalid for an unknown external network."""
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        """Remove it. Raises Conflict while a subnet is connected."""
        raise NotImplementedError

    @repeatable
    async def connect(self, id: str, subnet_id: str) -> Router:
        """Return the router with the subnet, whose gateway it is; one that is connected stays so.

        Raises NotFound for an unknown subnet, Conflict for one that has another gateway.
        """
        raise NotImplementedError

    @repeatable
    async def disconnect(self, id: str, subnet_id: str) -> Router:
        """Return the router without the subnet. Raises NotFound when it is not connected."""
        raise NotImplementedError


class NetworkInterfaces(Collection):
    """Cards by which instances join networks."""

    name: ClassVar[str] = "network_interfaces"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[NetworkInterface]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> NetworkInterface:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewNetworkInterface) -> NetworkInterface:
        """Return the interface. Raises NotFound for an unknown instance, network or subnet.

        One that is unattached waits for an instance to be made with it.
        """
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        raise NotImplementedError


class LoadBalancers(Collection):
    """One address in front of several instances."""

    name: ClassVar[str] = "load_balancers"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[LoadBalancer]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> LoadBalancer:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewLoadBalancer) -> LoadBalancer:
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        raise NotImplementedError

    @repeatable
    async def register(self, id: str, instance_id: str) -> LoadBalancer:
        """Return the balancer with the instance; one that is registered stays so."""
        raise NotImplementedError

    @repeatable
    async def unregister(self, id: str, instance_id: str) -> LoadBalancer:
        """Return the balancer without the instance. Raises NotFound when it is not registered."""
        raise NotImplementedError
