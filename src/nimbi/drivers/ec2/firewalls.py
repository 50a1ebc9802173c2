"""Firewalls of AWS: security groups."""

import re
from collections.abc import Sequence

from nimbi.driver.network import Firewalls
from nimbi.drivers.ec2.errors import AwsError
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.lists import matching
from nimbi.drivers.ec2.pages import paged
from nimbi.drivers.ec2.permissions import (
    Origin,
    Permission,
    asked,
    block,
    checked,
    permissions_of,
)
from nimbi.drivers.ec2.query import extra, filters, items, text
from nimbi.drivers.ec2.session import Element, OfSession
from nimbi.drivers.ec2.tags import by_token, specification
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.firewalls import (
    AddressSource,
    Direction,
    Firewall,
    GroupSource,
    NewFirewall,
    NewRule,
    PrefixListSource,
    Source,
)
from nimbi.model.page import Page

# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
TEXT = re.compile(r"[a-zA-Z0-9._\-:/()#,@\[\]+=&;{}!$* ]{1,255}")
GROUP_ID = "sg-"
GONE = frozenset({"InvalidGroup.NotFound"})
IN_USE = "InvalidGroup.Duplicate"
SAME_RULE = "InvalidPermission.Duplicate"
GROUPS = "securityGroupInfo/item"

AUTHORIZE: dict[Direction, str] = {
    "ingress": "AuthorizeSecurityGroupIngress",
    "egress": "AuthorizeSecurityGroupEgress",
}
REVOKE: dict[Direction, str] = {
    "ingress": "RevokeSecurityGroupIngress",
    "egress": "RevokeSecurityGroupEgress",
}


class Ec2Firewalls(OfSession, Firewalls):
    """Security groups. A new one is of the default network, and lets everything out.

    A rule of several sources becomes one rule for each of them.
    """

    features = frozenset({"egress_rules", "rule_description"})

    async def page(self, marker: str | None, limit: int) -> Page[Firewall]:
        async def fetch(token: str | None, size: int) -> tuple[Sequence[Firewall], str | None]:
            asked = {"NextToken": token, "MaxResults": size}
            answer = await self.session.ec2("DescribeSecurityGroups", asked)
            return await self._told(items(answer, GROUPS)), text(answer, "nextToken")

        return await paged(fetch, marker, limit)

    async def get(self, id: str) -> Firewall:
        return (await self._told([await self._group(id)]))[0]

    async def create(self, new: NewFirewall) -> Firewall:
        wish = {
            "GroupName": _checked(new.name, "the name of the firewall"),
            "GroupDescription": _checked(new.description, "the description of the firewall"),
            "TagSpecification": specification("security-group", new.token),
        }
        if new.name.startswith(GROUP_ID):
            raise Invalid(f"the name of a firewall can't begin with {GROUP_ID!r}")
        try:
            answer = await self.session.ec2("CreateSecurityGroup", wish, changes=True)
        except AwsError as error:
            if error.code == IN_USE and (made := await self._made_with(new.token)):
                return made
            raise
        id = text(answer, "groupId") or ""
        self.session.fresh(id)
        return await self.get(id)

    async def destroy(self, id: str) -> None:
        asked = {"GroupId": known(id, "firewall")}
        await self.session.ec2("DeleteSecurityGroup", asked, changes=True)

    async def create_rule(self, id: str, new: NewRule) -> Firewall:
        group = await self._group(id)
        checked(new)
        origins = [await self._origin(group, source) for source in new.sources]
        permissions = [
            Permission(
                new.direction, new.protocol, new.port_from, new.port_to, origin, new.description
            )
            for origin in dict.fromkeys(origins)
        ]
        wish = {
            "GroupId": id,
            "IpPermissions": asked(permissions),
            "TagSpecification": specification("security-group-rule", new.token),
        }
        try:
            await self.session.ec2(AUTHORIZE[new.direction], wish, changes=True)
        except AwsError as error:
            if error.code != SAME_RULE:
                raise
            if not await self._has_rule_with(id, new.token):
                raise Conflict(f"the firewall {id!r} has this rule already") from error
        return await self.get(id)

    async def destroy_rule(self, id: str, rule_id: str) -> None:
        for permission in permissions_of(await self._group(id)):
            if permission.id == rule_id:
                wish = {"GroupId": id, "IpPermissions": asked([permission])}
                await self.session.ec2(REVOKE[permission.direction], wish, changes=True)
                return
        raise NotFound(f"the firewall {id!r} has no rule {rule_id[:100]!r}")

    async def _group(self, id: str) -> Element:
        asked = {"GroupId": [known(id, "firewall")]}
        answer = await self.session.settled(
            lambda: self.session.ec2("DescribeSecurityGroups", asked), GONE, (id,)
        )
        for group in items(answer, GROUPS):
            return group
        raise NotFound(f"there is no firewall {id!r}")

    async def _made_with(self, token: str | None) -> Firewall | None:
        asked = {"Filter": filters(by_token(token))}
        answer = await self.session.ec2("DescribeSecurityGroups", asked)
        found = await self._told(items(answer, GROUPS))
        return found[0] if found else None

    async def _has_rule_with(self, id: str, token: str | None) -> bool:
        asked = {"Filter": filters({"group-id": id, **by_token(token)})}
        answer = await self.session.ec2("DescribeSecurityGroupRules", asked)
        return bool(items(answer, "securityGroupRuleSet/item"))

    async def _origin(self, group: Element, source: Source) -> Origin:
        """Return a source in AWS's words. Raises Invalid for a firewall that is not there."""
        if isinstance(source, AddressSource):
            return block(source)
        if isinstance(source, PrefixListSource):
            return Origin("list", known(source.id, "prefix list"))
        if source.name.startswith(GROUP_ID):
            return Origin("group", known(source.name, "firewall"), source.owner_id)
        return await self._group_named(group, source)

    async def _group_named(self, group: Element, source: GroupSource) -> Origin:
        # Names are unique within a network only.
        wanted = {
            "group-name": source.name,
            "vpc-id": text(group, "vpcId"),
            "owner-id": source.owner_id,
        }
        answer = await self.session.ec2("DescribeSecurityGroups", {"Filter": filters(wanted)})
        for found in items(answer, GROUPS):
            return Origin("group", text(found, "groupId") or "", text(found, "ownerId"))
        raise Invalid(f"there is no firewall named {source.name[:100]!r} of that owner")

    async def _told(self, groups: Sequence[Element]) -> list[Firewall]:
        permissions = [tuple(permissions_of(group)) for group in groups]
        names = {text(group, "groupId") or "": text(group, "groupName") or "" for group in groups}
        unknown = {
            each.origin.value
            for of_group in permissions
            for each in of_group
            if each.origin.kind == "group" and not each.origin.name
        } - names.keys()
        for other in await matching(
            self.session, "DescribeSecurityGroups", GROUPS, "group-id", sorted(unknown)
        ):
            names[text(other, "groupId") or ""] = text(other, "groupName") or ""
        return [
            Firewall(
                id=text(group, "groupId") or "",
                name=text(group, "groupName") or "",
                description=text(group, "groupDescription"),
                owner_id=text(group, "ownerId"),
                rules=tuple(each.rule(names) for each in of_group),
                extra=extra(group),
            )
            for group, of_group in zip(groups, permissions, strict=True)
        ]


def _checked(value: str, what: str) -> str:
    if TEXT.fullmatch(value) and value == value.strip(" "):
        return value
    raise Invalid(f"{what} is 1 to 255 of a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{{}}!$*")
