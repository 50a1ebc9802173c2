"""Firewalls of Eucalyptus: groups of no network, for what comes in over IPv4."""

from typing import ClassVar

from nimbi.drivers.ec2.firewalls import Ec2Firewalls
from nimbi.drivers.ec2.permissions import Origin
from nimbi.drivers.ec2.session import Element, Session
from nimbi.drivers.ec2.wishes import Sent
from nimbi.model.errors import Invalid
from nimbi.model.firewalls import (
    AddressSource,
    Firewall,
    GroupSource,
    NewRule,
    PrefixListSource,
    Protocol,
    Source,
)

PROTOCOLS = frozenset({Protocol.TCP, Protocol.UDP, Protocol.ICMP})


class EucalyptusFirewalls(Ec2Firewalls):
    """Groups. Rules have no tags: a repeated wish for one is known to this process alone."""

    features: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._sent = Sent()

    async def create_rule(self, id: str, new: NewRule) -> Firewall:
        if new.protocol not in PROTOCOLS:
            raise Invalid(f"rules of this cloud are for {', '.join(sorted(PROTOCOLS))}")
        told = await super().create_rule(id, new)
        self._sent.add(f"{id} {new.token}")
        return told

    async def _has_rule_with(self, id: str, token: str | None) -> bool:
        return f"{id} {token}" in self._sent

    async def _origin(self, group: Element, source: Source) -> Origin:
        if isinstance(source, PrefixListSource):
            raise Invalid("this cloud has no lists of address blocks")
        if isinstance(source, AddressSource) and source.family != "ipv4":
            raise Invalid(f"this cloud has no rules for {source.family[:100]}")
        return await super()._origin(group, source)

    async def _group_named(self, group: Element, source: GroupSource) -> Origin:
        found = await super()._group_named(group, source)
        return Origin("name", source.name, found.owner_id, source.name)
