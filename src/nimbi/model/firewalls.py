"""Firewalls: named sets of rules that let traffic in."""

from enum import StrEnum

import msgspec

from nimbi.model.resource import NewResource, Resource


class Protocol(StrEnum):
    """What a rule lets in."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


class AddressSource(msgspec.Struct, frozen=True, tag="address"):
    """A block of addresses: `AddressSource("10.0.0.0", 8)`. `family` is ipv4 or ipv6."""

    address: str
    prefix: int
    family: str = "ipv4"


class GroupSource(msgspec.Struct, frozen=True, tag="group"):
    """All instances behind another firewall."""

    name: str
    owner_id: str | None = None


Source = AddressSource | GroupSource


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Lets traffic in from any of the sources to the ports, both ends included.

    For icmp the ports are type and code; -1 is any.
    """

    id: str
    protocol: Protocol
    port_from: int
    port_to: int
    sources: tuple[Source, ...]
    direction: str = "ingress"


class Firewall(Resource, frozen=True, kw_only=True):
    """A named set of rules; what no rule lets in stays out."""

    name: str
    description: str | None
    owner_id: str | None
    rules: tuple[Rule, ...]


class NewFirewall(NewResource, frozen=True, kw_only=True):
    """A firewall without rules; names are unique in an account."""

    name: str
    description: str


class NewRule(NewResource, frozen=True, kw_only=True):
    """One more rule; at least one source."""

    protocol: Protocol
    port_from: int
    port_to: int
    sources: tuple[Source, ...]
