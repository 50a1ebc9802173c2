"""Rules of firewalls as AWS writes them: permissions of a security group, one source each."""

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nimbi.drivers.ec2.query import items, number, text
from nimbi.drivers.ec2.session import Element
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

# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html; numbers are
# the Internet's own (https://www.iana.org/assignments/protocol-numbers).
WRITTEN = {
    Protocol.TCP: "tcp",
    Protocol.UDP: "udp",
    Protocol.ICMP: "icmp",
    Protocol.ICMPV6: "icmpv6",
    Protocol.ANY: "-1",
}
READ = {name: protocol for protocol, name in WRITTEN.items()} | {
    "1": Protocol.ICMP,
    "6": Protocol.TCP,
    "17": Protocol.UDP,
    "58": Protocol.ICMPV6,
}
# First and last port; type and code of ICMP, where -1 is any.
PORTS = {
    Protocol.TCP: (0, 65535),
    Protocol.UDP: (0, 65535),
    Protocol.ICMP: (-1, 255),
    Protocol.ICMPV6: (-1, 255),
    Protocol.ANY: (-1, -1),
}
HAVE_RANGES = {Protocol.TCP, Protocol.UDP}
SETS: Mapping[Direction, str] = {"ingress": "ipPermissions", "egress": "ipPermissionsEgress"}


@dataclass(frozen=True)
class Kind:
    """A kind of source: the elements that tell of it, and the parameters that ask for it."""

    told: str
    told_value: str
    asked: str
    asked_value: str


KINDS = {
    "ipv4": Kind("ipRanges/item", "cidrIp", "IpRanges", "CidrIp"),
    "ipv6": Kind("ipv6Ranges/item", "cidrIpv6", "Ipv6Ranges", "CidrIpv6"),
    "group": Kind("groups/item", "groupId", "Groups", "GroupId"),
    # By its name a group is known where there are no networks.
    "name": Kind("", "groupName", "Groups", "GroupName"),
    "list": Kind("prefixListIds/item", "prefixListId", "PrefixListIds", "PrefixListId"),
}


@dataclass(frozen=True)
class Origin:
    """A source in AWS's words: `Origin("ipv4", "10.0.0.0/8")`, `Origin("group", "sg-1", "1234")`.

    `name` is a group's, when the cloud tells it.
    """

    kind: str
    value: str
    owner_id: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Permission:
    """A rule with one source."""

    direction: Direction
    protocol: Protocol
    port_from: int
    port_to: int
    origin: Origin
    description: str | None = None

    @property
    def id(self) -> str:
        """An id of the contents: the same for the same rule of any group."""
        parts = (self.direction, self.protocol, self.port_from, self.port_to)
        told = " ".join(map(str, (*parts, self.origin.kind, self.origin.value)))
        return f"rule-{hashlib.blake2s(told.encode(), digest_size=8).hexdigest()}"

    def rule(self, names: Mapping[str, str]) -> Rule:
        """Return it as clients see it. `names` are those of groups, by id."""
        return Rule(
            id=self.id,
            protocol=self.protocol,
            port_from=self.port_from,
            port_to=self.port_to,
            sources=(_source(self.origin, names),),
            direction=self.direction,
            description=self.description,
        )


def permissions_of(group: Element) -> Iterator[Permission]:
    """Yield the permissions of a group of DescribeSecurityGroups.

    Those of protocols that have no name here (ESP, GRE…) are left to the group's `extra`.
    """
    for direction, path in SETS.items():
        for element in items(group, f"{path}/item"):
            protocol = READ.get(text(element, "ipProtocol") or "")
            if protocol is None:
                continue
            first, last = number(element, "fromPort"), number(element, "toPort")
            for kind, words in KINDS.items():
                for told in items(element, words.told) if words.told else ():
                    yield Permission(
                        direction=direction,
                        protocol=protocol,
                        port_from=-1 if first is None else first,
                        port_to=-1 if last is None else last,
                        origin=Origin(
                            kind,
                            text(told, words.told_value) or "",
                            text(told, "userId"),
                            text(told, "groupName"),
                        ),
                        description=text(told, "description"),
                    )


def asked(permissions: Iterable[Permission]) -> list[dict[str, Any]]:
    """Return permissions as the parameter `IpPermissions`."""
    return [_asked(permission) for permission in permissions]


def _asked(permission: Permission) -> dict[str, Any]:
    words = KINDS[permission.origin.kind]
    source = {
        words.asked_value: permission.origin.value,
        "UserId": permission.origin.owner_id,
        "Description": permission.description,
    }
    wanted: dict[str, Any] = {"IpProtocol": WRITTEN[permission.protocol], words.asked: [source]}
    if permission.protocol is not Protocol.ANY:
        wanted |= {"FromPort": permission.port_from, "ToPort": permission.port_to}
    return wanted


def checked(new: NewRule) -> None:
    """Raise Invalid for a rule that makes no sense, before anything is looked up or sent."""
    least, most = PORTS[new.protocol]
    for port in (new.port_from, new.port_to):
        if not least <= port <= most:
            raise Invalid(f"ports of {new.protocol} are {least} to {most}, not {port}")
    # Type and code of ICMP are two numbers, not a range.
    if new.protocol in HAVE_RANGES and new.port_from > new.port_to:
        raise Invalid(f"the ports {new.port_from} to {new.port_to} are none")
    if not new.sources:
        raise Invalid("a rule needs at least one source")


def block(source: AddressSource) -> Origin:
    """Return a block of addresses in AWS's words. Raises Invalid for what is none."""
    try:
        found = ipaddress.ip_network(f"{source.address}/{source.prefix}", strict=False)
    except ValueError as error:
        raise Invalid(f"the source {source.address[:100]}/{source.prefix} is no block") from error
    family = f"ipv{found.version}"
    if source.family != family:
        raise Invalid(f"the source {found} is of {family}, not {source.family[:100]}")
    return Origin(family, str(found))


def _source(origin: Origin, names: Mapping[str, str]) -> Source:
    if origin.kind == "group":
        name = origin.name or names.get(origin.value) or origin.value
        return GroupSource(name, origin.owner_id)
    if origin.kind == "list":
        return PrefixListSource(origin.value)
    address, _, prefix = origin.value.partition("/")
    return AddressSource(address, int(prefix), origin.kind)
