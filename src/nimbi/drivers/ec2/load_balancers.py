"""Load balancers of AWS: application balancers for HTTP, network balancers for TCP."""

import asyncio
from collections.abc import Sequence

from nimbi.driver.network import LoadBalancers
from nimbi.drivers.ec2 import balancer_parts as parts
from nimbi.drivers.ec2.balancer_facts import LARGEST, NAME, Group, groups_of, members_of, told
from nimbi.drivers.ec2.errors import AwsError, to_error
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.pages import paged
from nimbi.drivers.ec2.query import items, text
from nimbi.drivers.ec2.session import Element, OfSession
from nimbi.drivers.ec2.tags import TOKEN, digest
from nimbi.drivers.ec2.wishes import once
from nimbi.model.errors import (
    CloudUnavailable,
    Conflict,
    Invalid,
    NotFound,
    Throttled,
    UnknownOutcome,
)
from nimbi.model.load_balancers import ListenerProtocol, LoadBalancer, NewLoadBalancer
from nimbi.model.page import Page

BALANCERS = "LoadBalancers/member"
PROTECTED = "deletion_protection.enabled"
DEAD = frozenset({"shutting-down", "terminated"})
# After these the same wish may be granted when it is asked again.
PASSING = (Throttled, CloudUnavailable, UnknownOutcome)
# Balancers of a page that are asked about at the same time.
AT_ONCE = 8


class Ec2LoadBalancers(OfSession, LoadBalancers):
    """Balancers in the default network, each under its name, of which there is one in a region.

    One that is made here listens either for HTTP or for TCP. That for HTTP has a firewall of its
    own, which lets everybody in at its ports; it is in two realms at least, as AWS wants it.
    """

    async def page(self, marker: str | None, limit: int) -> Page[LoadBalancer]:
        async def fetch(token: str | None, size: int) -> tuple[Sequence[LoadBalancer], str | None]:
            asked = {"Marker": token, "PageSize": size}
            answer = await self.session.elb("DescribeLoadBalancers", asked)
            return await self._told(items(answer, BALANCERS)), text(answer, "NextMarker")

        return await paged(fetch, marker, limit, smallest=1, largest=LARGEST)

    async def get(self, id: str) -> LoadBalancer:
        return await self._one(await self._found(id))

    async def create(self, new: NewLoadBalancer) -> LoadBalancer:
        """Make a balancer with all its parts; when one can't be made, none is left."""
        if not NAME.fullmatch(new.name):
            raise Invalid("the name of a load balancer is 1 to 32 letters, digits and inner dashes")
        depth = parts.depth_of(new.listeners)
        token = digest(new.token)

        async def find() -> LoadBalancer | None:
            try:
                balancer = await self._found(new.name)
            except NotFound:
                return None
            if await self._token(balancer) != token:
                raise Conflict(f"there is a load balancer named {new.name!r} already")
            await parts.completed(self.session, balancer, token, new.listeners)
            return await self._one(balancer)

        async def make() -> LoadBalancer:
            try:
                balancer = await self._made(new, depth, token)
                await parts.completed(self.session, balancer, token, new.listeners)
            except AwsError as error:
                if not isinstance(to_error(error), PASSING):
                    await self._undone(new.name, token)
                raise
            return await self._one(balancer)

        return await once(self.session, "load-balancer", new.token, find, make)

    async def destroy(self, id: str) -> None:
        """Remove it with all parts that were made for it; those left by an attempt before too."""
        try:
            balancer = await self._found(id)
        except NotFound:
            left = await parts.firewalls_of(self.session, id) if NAME.fullmatch(id) else []
            if not left:
                raise
        else:
            arn = text(balancer, "LoadBalancerArn") or ""
            await self._check_unprotected(arn, id)
            if token := await self._token(balancer):
                await parts.removed(self.session, arn, token)
            left = await parts.firewalls_of(self.session, id)
            await self.session.elb("DeleteLoadBalancer", {"LoadBalancerArn": arn}, changes=True)
        for firewall_id in left:
            await parts.firewall_removed(self.session, firewall_id)

    async def register(self, id: str, instance_id: str) -> LoadBalancer:
        balancer = await self._found(id)
        await self._check_instance(instance_id)
        for group in await self._groups(balancer):
            asked = {"TargetGroupArn": group.arn, "Targets": [{"Id": instance_id}]}
            await self.session.elb("RegisterTargets", asked, changes=True)
        return await self._one(balancer)

    async def unregister(self, id: str, instance_id: str) -> LoadBalancer:
        balancer = await self._found(id)
        found = False
        for group in await self._groups(balancer):
            members = await members_of(self.session, group)
            if instance_id in {member.instance_id for member in members}:
                found = True
                asked = {"TargetGroupArn": group.arn, "Targets": [{"Id": instance_id}]}
                await self.session.elb("DeregisterTargets", asked, changes=True)
        if not found:
            raise NotFound(f"the load balancer {id!r} has no instance {instance_id[:100]!r}")
        return await self._one(balancer)

    async def _made(self, new: NewLoadBalancer, depth: ListenerProtocol, token: str) -> Element:
        subnets = await parts.subnets_for(self.session, depth, new.realm_id)
        firewalls: list[str] = []
        if depth is ListenerProtocol.HTTP:
            firewalls = [await parts.opened_firewall(self.session, new.name, token, new.listeners)]
        wish = {
            "Name": new.name,
            "Type": parts.TYPES[depth],
            "Scheme": "internet-facing",
            "Subnets": subnets,
            "SecurityGroups": firewalls,
            "Tags": [{"Key": TOKEN, "Value": token}],
        }
        answer = await self.session.elb("CreateLoadBalancer", wish, changes=True)
        return items(answer, BALANCERS)[0]

    async def _undone(self, name: str, token: str) -> None:
        """Remove what a wish that can't be granted has made so far."""
        try:
            balancer = await self._found(name)
        except NotFound:
            pass
        else:
            if await self._token(balancer) == token:
                await self.destroy(name)
                return
        for firewall_id in await parts.firewalls_of(self.session, name):
            await parts.firewall_removed(self.session, firewall_id)

    async def _found(self, id: str) -> Element:
        if NAME.fullmatch(id):
            try:
                answer = await self.session.elb("DescribeLoadBalancers", {"Names": [id]})
            except AwsError as error:
                if not isinstance(to_error(error), NotFound):
                    raise
            else:
                for balancer in items(answer, BALANCERS):
                    return balancer
        raise NotFound(f"there is no load balancer {id[:100]!r}")

    async def _token(self, balancer: Element) -> str | None:
        asked = {"ResourceArns": [text(balancer, "LoadBalancerArn")]}
        answer = await self.session.elb("DescribeTags", asked)
        for tag in items(answer, "TagDescriptions/member/Tags/member"):
            if text(tag, "Key") == TOKEN:
                return text(tag, "Value")
        return None

    async def _check_unprotected(self, arn: str, id: str) -> None:
        """Raise Conflict while the cloud would refuse to delete it, before parts are removed."""
        asked = {"LoadBalancerArn": arn}
        answer = await self.session.elb("DescribeLoadBalancerAttributes", asked)
        for attribute in items(answer, "Attributes/member"):
            if text(attribute, "Key") == PROTECTED and text(attribute, "Value") == "true":
                raise Conflict(f"the load balancer {id!r} is protected against deletion")

    async def _check_instance(self, id: str) -> None:
        asked = {"InstanceId": [known(id, "instance")]}
        answer = await self.session.settled(
            lambda: self.session.ec2("DescribeInstances", asked),
            {"InvalidInstanceID.NotFound"},
            (id,),
        )
        for instance in items(answer, "reservationSet/item/instancesSet/item"):
            if text(instance, "instanceState/name") not in DEAD:
                return
        raise NotFound(f"there is no instance {id!r}")

    async def _groups(self, balancer: Element) -> list[Group]:
        found = await groups_of(self.session, text(balancer, "LoadBalancerArn"))
        return [group for group in found if group.is_of_instances]

    async def _one(self, balancer: Element) -> LoadBalancer:
        return await told(self.session, balancer)

    async def _told(self, balancers: Sequence[Element]) -> list[LoadBalancer]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(balancer: Element) -> LoadBalancer | None:
            async with gate:
                try:
                    return await self._one(balancer)
                except AwsError as error:
                    # It went between the list and the look at it.
                    if isinstance(to_error(error), NotFound):
                        return None
                    raise

        found = await asyncio.gather(*(one(balancer) for balancer in balancers))
        return [balancer for balancer in found if balancer is not None]
