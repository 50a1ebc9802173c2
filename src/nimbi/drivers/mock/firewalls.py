"""Firewalls of the mock cloud."""

import ipaddress
from typing import ClassVar

import msgspec

from nimbi.driver.network import Firewalls
from nimbi.drivers.mock.naming import checked, shown
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.table import Table
from nimbi.drivers.mock.world import State
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.firewalls import (
    AddressSource,
    Firewall,
    GroupSource,
    NewFirewall,
    NewRule,
    PrefixListSource,
    Protocol,
    Rule,
    Source,
)
from nimbi.model.page import Page

# First and last port; type and code of ICMP, where -1 is any.
PORTS = {
    Protocol.TCP: (0, 65535),
    Protocol.UDP: (0, 65535),
    Protocol.ICMP: (-1, 255),
    Protocol.ICMPV6: (-1, 255),
    Protocol.ANY: (-1, -1),
}
ICMP = {Protocol.ICMP, Protocol.ICMPV6}
# Lists of address blocks that the cloud itself would keep.
PREFIX_LISTS = frozenset({"pl-mock"})


@offered
class MockFirewalls(OfSession, Firewalls):
    """Firewalls. There is none at first."""

    features: ClassVar[frozenset[str]] = frozenset({"egress_rules", "rule_description"})

    async def page(self, marker: str | None, limit: int) -> Page[Firewall]:
        return self.paged(self.session.state.firewalls, marker, limit)

    async def get(self, id: str) -> Firewall:
        return self.session.state.firewalls.get(id, "firewall")

    async def create(self, new: NewFirewall) -> Firewall:
        name = checked(new.name, "the name of the firewall")
        description = checked(new.description, "the description of the firewall")
        with self.session.change() as state:
            if made := state.made_with("firewalls.create", new.token):
                return state.firewalls.get(made[0], "firewall")
            if _named(state, name):
                raise Conflict(f"there is a firewall named {name!r} already")
            firewall = Firewall(
                id=state.fresh_id("fw", state.firewalls, name),
                name=name,
                description=description,
                owner_id=self.user,
                rules=(),
            )
            state.firewalls = state.firewalls.having(firewall)
            state.remember("firewalls.create", new.token, firewall.id)
            return firewall

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            firewall = state.firewalls.get(id, "firewall")
            behind = state.instances.where(lambda instance: id in instance.firewall_ids)
            cards = state.network_interfaces.where(lambda nic: id in nic.firewall_ids)
            if len(behind) or len(cards):
                raise Conflict(f"instances stand behind the firewall {id!r}")
            others = state.firewalls.without(id)
            if len(others.where(lambda other: _names(other, firewall.name))):
                raise Conflict(f"rules of other firewalls name the firewall {id!r}")
            state.firewalls = others

    async def create_rule(self, id: str, new: NewRule) -> Firewall:
        with self.session.change() as state:
            firewall = state.firewalls.get(id, "firewall")
            if state.made_with(f"firewalls.create_rule {id}", new.token):
                return firewall
            _check_ports(new)
            rule = Rule(
                id=state.fresh_id("rule", Table()),
                protocol=new.protocol,
                port_from=new.port_from,
                port_to=new.port_to,
                sources=tuple(_checked_source(state, source) for source in new.sources),
                direction=new.direction,
                description=shown(new.description or "", "the description of the rule") or None,
            )
            if any(_is_same(rule, other) for other in firewall.rules):
                raise Conflict(f"the firewall {id!r} has this rule already")
            firewall = msgspec.structs.replace(firewall, rules=(*firewall.rules, rule))
            state.firewalls = state.firewalls.having(firewall)
            state.remember(f"firewalls.create_rule {id}", new.token, rule.id)
            return firewall

    async def destroy_rule(self, id: str, rule_id: str) -> None:
        with self.session.change() as state:
            firewall = state.firewalls.get(id, "firewall")
            rest = tuple(rule for rule in firewall.rules if rule.id != rule_id)
            if len(rest) == len(firewall.rules):
                raise NotFound(f"the firewall {id!r} has no rule {rule_id!r}")
            firewall = msgspec.structs.replace(firewall, rules=rest)
            state.firewalls = state.firewalls.having(firewall)


def _named(state: State, name: str) -> bool:
    return any(firewall.name == name for firewall in state.firewalls.whole.items)


def _names(firewall: Firewall, name: str) -> bool:
    sources = (source for rule in firewall.rules for source in rule.sources)
    return any(isinstance(source, GroupSource) and source.name == name for source in sources)


def _check_ports(new: NewRule) -> None:
    least, most = PORTS[new.protocol]
    for port in (new.port_from, new.port_to):
        if not least <= port <= most:
            raise Invalid(f"ports of {new.protocol} are {least} to {most}, not {port}")
    # Type and code of ICMP are two numbers, not a range.
    if new.protocol not in ICMP and new.port_from > new.port_to:
        raise Invalid(f"the ports {new.port_from} to {new.port_to} are none")
    if not new.sources:
        raise Invalid("a rule needs at least one source")


def _checked_source(state: State, source: Source) -> Source:
    if isinstance(source, GroupSource):
        for firewall in state.firewalls.whole.items:
            if firewall.name == source.name and source.owner_id in {None, firewall.owner_id}:
                return GroupSource(firewall.name, firewall.owner_id)
        raise Invalid(f"there is no firewall named {source.name!r} of that owner")
    if isinstance(source, PrefixListSource):
        if source.id not in PREFIX_LISTS:
            raise Invalid(f"there is no prefix list {source.id!r}")
        return source
    try:
        block = ipaddress.ip_network(f"{source.address}/{source.prefix}", strict=False)
    except ValueError as error:
        raise Invalid(f"the source {source.address}/{source.prefix} is no address block") from error
    family = f"ipv{block.version}"
    if source.family != family:
        raise Invalid(f"the source {block} is of {family}, not {source.family}")
    return AddressSource(str(block.network_address), block.prefixlen, family)


def _is_same(one: Rule, other: Rule) -> bool:
    return _facts(one) == _facts(other)


def _facts(rule: Rule) -> tuple[str, str, int, int, frozenset[Source]]:
    sources = frozenset(rule.sources)
    return rule.direction, rule.protocol, rule.port_from, rule.port_to, sources
