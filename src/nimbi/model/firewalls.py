"""Firewalls: named sets of rules that let traffic in."""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from nimbi.model.features import Feature
from nimbi.model.resource import NewResource, Resource


class Protocol(StrEnum):
    """What a rule lets in; ANY is all there is, whether it has ports or not."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"
    ICMPV6 = "icmpv6"
    ANY = "any"


class AddressSource(msgspec.Struct, frozen=True, tag="address"):
    """A block of addresses: `AddressSource("10.0.0.0", 8)`. `family` is ipv4 or ipv6."""

    address: str
    prefix: int
    family: str = "ipv4"


class GroupSource(msgspec.Struct, frozen=True, tag="group"):
    """All instances behind another firewall."""

    name: str
    owner_id: str | None = None


class PrefixListSource(msgspec.Struct, frozen=True, tag="prefix_list"):
    """All blocks of addresses in a list that the cloud keeps under this id."""

    id: str


Source = AddressSource | GroupSource | PrefixListSource
Direction = Literal["ingress", "egress"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Lets traffic in from any of the sources to the ports, both ends included.

    For icmp and icmpv6 the ports are type and code; -1 is any. For any protocol both are -1. When
    the direction is `egress`, it lets traffic out, and the sources are where to.
    """

    id: str
    protocol: Protocol
    port_from: int
    port_to: int
    sources: tuple[Source, ...]
    direction: Direction = "ingress"
    description: str | None = None


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
    """One more rule, as a Rule says; at least one source."""

    protocol: Protocol
    port_from: int
    port_to: int
    sources: tuple[Source, ...]
    direction: Annotated[
        Direction, Feature("egress_rules", "`egress` is a rule for traffic that goes out.")
    ] = "ingress"
    description: Annotated[str | None, Feature("rule_description", "What the rule is for.")] = None
