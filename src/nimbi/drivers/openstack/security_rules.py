"""Rules of firewalls as Neutron writes them: one source and one family of addresses each."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nimbi.drivers.openstack.marks import unmarked
from nimbi.drivers.openstack.neutron import Json
from nimbi.model.errors import Invalid
from nimbi.model.firewalls import (
    AddressSource,
    Direction,
    GroupSource,
    NewRule,
    PrefixListSource,
    Protocol,
    Rule,
    Source,
)

# Source: https://docs.openstack.org/api-ref/network/v2/#create-security-group-rule; numbers are
# the Internet's own (https://www.iana.org/assignments/protocol-numbers).
WRITTEN: Mapping[Protocol, str | None] = {
    Protocol.TCP: "tcp",
    Protocol.UDP: "udp",
    Protocol.ICMP: "icmp",
    Protocol.ICMPV6: "ipv6-icmp",
    Protocol.ANY: None,
}
READ: Mapping[str | None, Protocol] = {
    **{name: protocol for protocol, name in WRITTEN.items()},
    "any": Protocol.ANY,
    "0": Protocol.ANY,
    "1": Protocol.ICMP,
    "6": Protocol.TCP,
    "17": Protocol.UDP,
    "58": Protocol.ICMPV6,
    "icmpv6": Protocol.ICMPV6,
}
# First and last port; type and code of ICMP, where -1 is any.
PORTS = {
    Protocol.TCP: (0, 65535),
    Protocol.UDP: (0, 65535),
    Protocol.ICMP: (-1, 255),
    Protocol.ICMPV6: (-1, 255),
    Protocol.ANY: (-1, -1),
}
HAVE_RANGES = frozenset({Protocol.TCP, Protocol.UDP})
# The ports of a rule that names none.
ALL_PORTS = (1, 65535)
FAMILIES = {"IPv4": "ipv4", "IPv6": "ipv6"}
WORDS = {family: word for word, family in FAMILIES.items()}
FAMILY_OF = {Protocol.ICMP: "IPv4", Protocol.ICMPV6: "IPv6"}
ANYWHERE = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}


@dataclass(frozen=True)
class Origin:
    """A source in Neutron's words: `Origin("remote_ip_prefix", "10.0.0.0/8", "IPv4")`.

    `family` is None for one that has addresses of both.
    """

    field: str
    value: str
    family: str | None = None

    def rules(self, group_id: str, new: NewRule, description: str) -> list[dict[str, Any]]:
        """Return the rules that a wish means for this source, one for each family."""
        only = FAMILY_OF.get(new.protocol) or self.family
        families = (only,) if only else tuple(FAMILIES)
        port_from, port_to = _written_ports(new)
        return [
            {
                "security_group_id": group_id,
                "direction": new.direction,
                "ethertype": family,
                "protocol": WRITTEN[new.protocol],
                "port_range_min": port_from,
                "port_range_max": port_to,
                self.field: self.value,
                "description": description,
            }
            for family in families
        ]


@dataclass(frozen=True)
class Permission:
    """What one rule means, or two that differ in the family of addresses only."""

    direction: Direction
    protocol: Protocol
    ports: tuple[int, int]
    origin: Origin
    description: str | None


def permissions_of(rules: Iterable[Json]) -> dict[Permission, list[str]]:
    """Return what rules of a group mean, and the ids of those that mean it.

    Those of protocols that have no name here (ESP, GRE…) are left to the group's `extra`.
    """
    found: dict[Permission, list[str]] = {}
    for rule in sorted(rules, key=lambda each: (str(each["ethertype"]), str(each["id"]))):
        protocol = READ.get(rule.get("protocol"))
        if protocol is None or rule["ethertype"] not in FAMILIES:
            continue
        if protocol is Protocol.ICMP and rule["ethertype"] == "IPv6":
            protocol = Protocol.ICMPV6
        permission = Permission(
            direction=rule["direction"],
            protocol=protocol,
            ports=_read_ports(rule, protocol),
            origin=_origin(rule),
            description=unmarked(rule.get("description")) or None,
        )
        found.setdefault(permission, []).append(rule["id"])
    return found


def rules_of(rules: Iterable[Json], groups: Mapping[str, Json]) -> tuple[Rule, ...]:
    """Return rules as clients see them. `groups` are other groups, by id."""
    return tuple(
        Rule(
            id=ids[0],
            protocol=each.protocol,
            port_from=each.ports[0],
            port_to=each.ports[1],
            sources=(_source(each.origin, groups),),
            direction=each.direction,
            description=each.description,
        )
        for each, ids in permissions_of(rules).items()
    )


def checked(new: NewRule) -> None:
    """Raise Invalid for a rule that makes no sense, before anything is looked up or sent."""
    least, most = PORTS[new.protocol]
    for port in (new.port_from, new.port_to):
        if not least <= port <= most:
            raise Invalid(f"ports of {new.protocol} are {least} to {most}, not {port}")
    # Type and code of ICMP are two numbers, not a range.
    if new.protocol in HAVE_RANGES and not max(1, new.port_from) <= new.port_to:
        raise Invalid(f"the ports {new.port_from} to {new.port_to} are none")
    if new.protocol in FAMILY_OF and new.port_from == -1 and new.port_to != -1:
        raise Invalid("a code of ICMP needs a type")
    if not new.sources:
        raise Invalid("a rule needs at least one source")


def block(source: AddressSource, protocol: Protocol) -> Origin:
    """Return a block of addresses in Neutron's words. Raises Invalid for what is none."""
    try:
        found = ipaddress.ip_network(f"{source.address}/{source.prefix}", strict=False)
    except ValueError as error:
        raise Invalid(f"the source {source.address[:100]}/{source.prefix} is no block") from error
    family = f"ipv{found.version}"
    if source.family != family:
        raise Invalid(f"the source {found} is of {family}, not {source.family[:100]}")
    word = WORDS[family]
    if FAMILY_OF.get(protocol, word) != word:
        raise Invalid(f"{protocol} has no addresses of {family}")
    return Origin("remote_ip_prefix", str(found), word)


def _written_ports(new: NewRule) -> tuple[int | None, int | None]:
    if new.protocol in HAVE_RANGES:
        # Nothing goes to port 0, and Neutron knows none.
        return max(1, new.port_from), new.port_to
    return _or_any(new.port_from), _or_any(new.port_to)


def _or_any(number: int) -> int | None:
    return None if number == -1 else number


def _read_ports(rule: Json, protocol: Protocol) -> tuple[int, int]:
    first, last = ALL_PORTS if protocol in HAVE_RANGES else (-1, -1)
    told_first, told_last = rule.get("port_range_min"), rule.get("port_range_max")
    return (
        first if told_first is None else told_first,
        last if told_last is None else told_last,
    )


def _origin(rule: Json) -> Origin:
    for field in ("remote_group_id", "remote_address_group_id"):
        if rule.get(field):
            return Origin(field, rule[field])
    family = rule["ethertype"]
    return Origin("remote_ip_prefix", rule.get("remote_ip_prefix") or ANYWHERE[family], family)


def _source(origin: Origin, groups: Mapping[str, Json]) -> Source:
    if origin.field == "remote_group_id":
        group = groups.get(origin.value, {})
        return GroupSource(group.get("name") or origin.value, group.get("project_id"))
    if origin.field == "remote_address_group_id":
        return PrefixListSource(origin.value)
    address, _, prefix = origin.value.partition("/")
    return AddressSource(address, int(prefix), FAMILIES[origin.family or "IPv4"])
