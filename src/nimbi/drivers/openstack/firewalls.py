"""Firewalls: Neutron's security groups."""

from collections.abc import Iterable

from nimbi.driver.network import Firewalls
from nimbi.drivers.openstack import leaving
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.ids import ID, known
from nimbi.drivers.openstack.marks import digest, mark, marked, unmarked
from nimbi.drivers.openstack.neutron import (
    Json,
    all_of,
    described,
    matching,
    name_of,
    page_of,
)
from nimbi.drivers.openstack.security_rules import (
    Origin,
    block,
    checked,
    permissions_of,
    rules_of,
)
from nimbi.drivers.openstack.session import OfSession
from nimbi.drivers.openstack.wishes import once
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.firewalls import (
    AddressSource,
    Firewall,
    NewFirewall,
    NewRule,
    PrefixListSource,
    Source,
)
from nimbi.model.page import Page

GROUPS = "/security-groups"
RULES = "/security-group-rules"
SAME_RULE = "SecurityGroupRuleExists"


class OpenStackFirewalls(OfSession, Firewalls):
    """Security groups of the project, and those shared with it. A new one lets everything out.

    A rule of several sources becomes one rule for each of them. Of a source with addresses of both
    families Neutron has two rules, which are told as one.
    """

    features = frozenset({"egress_rules", "rule_description"})

    async def page(self, marker: str | None, limit: int) -> Page[Firewall]:
        items, next = await page_of(self.session, GROUPS, marker, limit)
        return Page(tuple(await self._told(items)), next)

    async def get(self, id: str) -> Firewall:
        return (await self._told([await self._group(id)]))[0]

    async def create(self, new: NewFirewall) -> Firewall:
        if not new.name:
            raise Invalid("a firewall needs a name")
        wish = {
            "name": name_of(new.name, "firewall"),
            "description": marked(new.token, new.description),
        }

        async def find() -> Firewall | None:
            found = await described(self.session, GROUPS, wish["description"])
            return next(iter(await self._told(found)), None)

        async def make() -> Firewall:
            # Neutron itself lets names be used twice, save that of the default group.
            if await self._named(new.name, await self.session.project()):
                raise Conflict(f"there is a firewall named {new.name!r} already")
            answer = await self.session.post("network", GROUPS, {"security_group": wish})
            await self._check_first(answer["security_group"])
            return (await self._told([answer["security_group"]]))[0]

        return await once(self.session, "firewall", new.token, find, make)

    async def destroy(self, id: str) -> None:
        path = f"{GROUPS}/{known(id, 'firewall')}"
        await leaving.delete(self.session, path, {"security_groups": [id]})

    async def create_rule(self, id: str, new: NewRule) -> Firewall:
        group = await self._group(id)
        checked(new)
        origins = [await self._origin(group, source, new) for source in new.sources]
        description = marked(new.token, new.description)
        rules = [
            rule for origin in dict.fromkeys(origins) for rule in origin.rules(id, new, description)
        ]
        try:
            await self.session.post("network", RULES, {"security_group_rules": rules})
        except OpenStackError as error:
            if error.code != SAME_RULE:
                raise
            if not self._has_rule_with(group := await self._group(id), new.token):
                raise Conflict(f"the firewall {id!r} has this rule already") from error
        return await self.get(id)

    async def destroy_rule(self, id: str, rule_id: str) -> None:
        group = await self._group(id)
        for ids in permissions_of(group["security_group_rules"]).values():
            if rule_id in ids:
                for each in ids:
                    await self.session.delete("network", f"{RULES}/{each}")
                return
        raise NotFound(f"the firewall {id!r} has no rule {rule_id[:100]!r}")

    async def _group(self, id: str) -> Json:
        answer = await self.session.get("network", f"{GROUPS}/{known(id, 'firewall')}")
        group: Json = answer["security_group"]
        return group

    async def _check_first(self, group: Json) -> None:
        """Take a new group away, and raise Conflict, when its name was used at the same time."""
        rivals = await self._named(group["name"], group["project_id"])
        if min((each["created_at"], each["id"]) for each in [group, *rivals])[1] != group["id"]:
            await self.session.delete("network", f"{GROUPS}/{group['id']}")
            raise Conflict(f"there is a firewall named {group['name']!r} already")

    async def _named(self, name: str, project_id: str | None) -> list[Json]:
        query = {"name": name, "project_id": project_id, "fields": ["id", "name", "created_at"]}
        found = await all_of(self.session, GROUPS, query)
        # Databases may compare without regard to case and accents.
        return [group for group in found if group["name"] == name]

    async def _origin(self, group: Json, source: Source, new: NewRule) -> Origin:
        """Return a source in Neutron's words. Raises Invalid for one that is not there."""
        if isinstance(source, AddressSource):
            return block(source, new.protocol)
        if isinstance(source, PrefixListSource):
            await self._check(f"/address-groups/{source.id}", source.id, "list of addresses")
            return Origin("remote_address_group_id", source.id)
        owner_id = source.owner_id or group["project_id"]
        found = await self._named(source.name, owner_id)
        if len(found) > 1:
            raise Invalid(f"there are {len(found)} firewalls named {source.name[:100]!r}")
        if found:
            return Origin("remote_group_id", found[0]["id"])
        await self._check(f"{GROUPS}/{source.name}", source.name, "firewall")
        return Origin("remote_group_id", source.name)

    async def _check(self, path: str, id: str, noun: str) -> None:
        """Raise Invalid when there is no such thing."""
        absent = Invalid(f"there is no {noun} {id[:100]!r}")
        if not ID.fullmatch(id):
            raise absent
        try:
            await self.session.get("network", path)
        except OpenStackError as error:
            if error.status != 404:
                raise
            raise absent from error

    async def _told(self, groups: Iterable[Json]) -> list[Firewall]:
        known_groups: dict[str, Json] = {group["id"]: group for group in groups}
        named = {
            rule.get("remote_group_id")
            for group in known_groups.values()
            for rule in group["security_group_rules"]
        }
        unknown = {id for id in named if id} - known_groups.keys()
        query = {"fields": ["id", "name", "project_id"]}
        others = await matching(self.session, GROUPS, "id", unknown, query)
        by_id = {**known_groups, **{other["id"]: other for other in others}}
        return [
            Firewall(
                id=group["id"],
                name=group["name"],
                description=unmarked(group.get("description")),
                owner_id=group.get("project_id"),
                rules=rules_of(group["security_group_rules"], by_id),
                extra=group,
            )
            for group in known_groups.values()
        ]

    @staticmethod
    def _has_rule_with(group: Json, token: str | None) -> bool:
        return any(
            mark(rule.get("description"), "token") == digest(token)
            for rule in group["security_group_rules"]
        )
