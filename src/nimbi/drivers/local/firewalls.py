"""Firewalls of the local cloud: rules of this machine's packet filter, in front of guests."""

from functools import partial

from nimbi.driver.network import Firewalls
from nimbi.drivers.local.session import OfSession
from nimbi.model.errors import Invalid
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
from nimbi.qemu.network.firewalls import PREFIX
from nimbi.qemu.network.records import Firewall as Kept
from nimbi.qemu.network.records import Records

FAMILY = "ipv4"


class LocalFirewalls(OfSession, Firewalls):
    """Firewalls, in force at once. `default` is always there, and in front of who asks for none."""

    async def page(self, marker: str | None, limit: int) -> Page[Firewall]:
        records = await self.cloud.hypervisor.network.records()
        tell = partial(self._told, records)
        return self.paged_as(records.firewalls.values(), tell, marker, limit)

    async def get(self, id: str) -> Firewall:
        records = await self.cloud.hypervisor.network.records()
        return self._told(records, records.find(Kept, id))

    async def create(self, new: NewFirewall) -> Firewall:
        network = self.cloud.hypervisor.network
        made = await network.create_firewall(
            name=new.name, description=new.description, token=new.token
        )
        return self._told(await network.records(), made)

    async def destroy(self, id: str) -> None:
        await self.cloud.hypervisor.network.destroy_firewall(id)

    async def create_rule(self, id: str, new: NewRule) -> Firewall:
        network = self.cloud.hypervisor.network
        records = await network.records()
        records.find(Kept, id)
        changed = await network.create_rule(
            id,
            protocol=new.protocol.value,
            first=new.port_from,
            last=new.port_to,
            sources=tuple(self._kept(records, source) for source in new.sources),
            token=new.token,
        )
        return self._told(await network.records(), changed)

    async def destroy_rule(self, id: str, rule_id: str) -> None:
        await self.cloud.hypervisor.network.destroy_rule(id, rule_id)

    def _kept(self, records: Records, source: Source) -> str:
        if isinstance(source, AddressSource):
            if source.family != FAMILY:
                raise Invalid(f"networks of the local cloud are of {FAMILY}, not {source.family}")
            return f"{source.address}/{source.prefix}"
        if isinstance(source, PrefixListSource):
            raise Invalid(f"there is no prefix list {source.id!r}: the local cloud has none")
        if source.owner_id in {None, self.user}:
            for wall in records.firewalls.values():
                if wall.name == source.name:
                    return wall.id
        raise Invalid(f"there is no firewall named {source.name!r} of that owner")

    def _told(self, records: Records, wall: Kept) -> Firewall:
        return Firewall(
            id=wall.id,
            name=wall.name or wall.id,
            description=wall.description,
            owner_id=self.user,
            rules=tuple(
                Rule(
                    id=rule.id,
                    protocol=Protocol(rule.protocol),
                    port_from=rule.first,
                    port_to=rule.last,
                    sources=tuple(self._source(records, source) for source in rule.sources),
                )
                for rule in wall.rules
            ),
        )

    def _source(self, records: Records, source: str) -> Source:
        if source.startswith(PREFIX):
            named = records.firewalls.get(source)
            return GroupSource(named.name or source if named else source, self.user)
        address, _, prefix = source.partition("/")
        return AddressSource(address, int(prefix), FAMILY)
