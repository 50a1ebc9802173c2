"""Networks of AWS: virtual private clouds."""

import asyncio
from collections.abc import Sequence

from nimbi.driver.network import Networks
from nimbi.drivers.ec2.blocks import parsed
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.lists import matching, whole
from nimbi.drivers.ec2.pages import paged
from nimbi.drivers.ec2.query import extra, filters, items, tags, text
from nimbi.drivers.ec2.session import Element, OfSession
from nimbi.drivers.ec2.tags import NAME, by_token, specification
from nimbi.drivers.ec2.wishes import once
from nimbi.model.errors import Conflict, NotFound
from nimbi.model.networks import Network, NetworkState, NewNetwork
from nimbi.model.page import Page

# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Vpc.html
STATES = {"pending": NetworkState.PENDING, "available": NetworkState.UP}
ATTACHED = {"associating", "associated"}
GONE = frozenset({"InvalidVpcID.NotFound"})
DEFAULT_BLOCK = "10.0.0.0/16"
DEFAULT_GROUP = "default"
VPCS = "vpcSet/item"

# What keeps a network from going and does not go with it: words, action, path, filter.
HOLDERS = (
    ("network interfaces", "DescribeNetworkInterfaces", "networkInterfaceSet/item", "vpc-id"),
    (
        "an internet gateway",
        "DescribeInternetGateways",
        "internetGatewaySet/item",
        "attachment.vpc-id",
    ),
    ("firewalls", "DescribeSecurityGroups", "securityGroupInfo/item", "vpc-id"),
)


class Ec2Networks(OfSession, Networks):
    """Virtual private clouds of one region, the default one among them."""

    async def page(self, marker: str | None, limit: int) -> Page[Network]:
        async def fetch(token: str | None, size: int) -> tuple[Sequence[Network], str | None]:
            asked = {"NextToken": token, "MaxResults": size}
            answer = await self.session.ec2("DescribeVpcs", asked)
            return await self._told(items(answer, VPCS)), text(answer, "nextToken")

        return await paged(fetch, marker, limit)

    async def get(self, id: str) -> Network:
        known(id, "network")
        answer = await self.session.settled(
            lambda: self.session.ec2("DescribeVpcs", {"VpcId": [id]}), codes=GONE
        )
        for network in await self._told(items(answer, VPCS)):
            return network
        raise NotFound(f"there is no network {id!r}")

    async def create(self, new: NewNetwork) -> Network:
        block = DEFAULT_BLOCK if new.address_block is None else str(parsed(new.address_block))
        wish = {"CidrBlock": block, "TagSpecification": specification("vpc", new.token, new.name)}

        async def find() -> Network | None:
            asked = {"Filter": filters(by_token(new.token))}
            answer = await self.session.ec2("DescribeVpcs", asked)
            return next(iter(await self._told(items(answer, VPCS))), None)

        async def make() -> Network:
            answer = await self.session.ec2("CreateVpc", wish, changes=True)
            made = items(answer, "vpc")[0]
            self.session.fresh(text(made, "vpcId") or "")
            return _told(made, ())

        return await once(self.session, "vpc", new.token, find, make)

    async def destroy(self, id: str) -> None:
        """Remove it and its subnets; all stays when something else is in it: a Conflict."""
        network = await self.get(id)
        held = await asyncio.gather(*(self._holds(id, *rest) for _, *rest in HOLDERS))
        if holders := [holder[0] for holder, holds in zip(HOLDERS, held, strict=True) if holds]:
            raise Conflict(f"the network {id!r} can't go: {' and '.join(holders)} are in it")
        for subnet_id in network.subnet_ids:
            await self.session.ec2("DeleteSubnet", {"SubnetId": subnet_id}, changes=True)
        await self.session.ec2("DeleteVpc", {"VpcId": id}, changes=True)

    async def _holds(self, id: str, action: str, path: str, name: str) -> bool:
        found = await whole(self.session, action, path, {"Filter": filters({name: id})})
        return any(text(each, "groupName") != DEFAULT_GROUP for each in found)

    async def _told(self, vpcs: list[Element]) -> list[Network]:
        ids = [text(vpc, "vpcId") or "" for vpc in vpcs]
        subnets = await matching(self.session, "DescribeSubnets", "subnetSet/item", "vpc-id", ids)
        within: dict[str, list[str]] = {id: [] for id in ids}
        for subnet in subnets:
            within.setdefault(text(subnet, "vpcId") or "", []).append(
                text(subnet, "subnetId") or ""
            )
        return [_told(vpc, within[id]) for vpc, id in zip(vpcs, ids, strict=True)]


def _told(vpc: Element, subnet_ids: Sequence[str]) -> Network:
    return Network(
        id=text(vpc, "vpcId") or "",
        name=tags(vpc).get(NAME),
        state=STATES.get(text(vpc, "state") or "", NetworkState.DOWN),
        address_blocks=_blocks(vpc),
        subnet_ids=tuple(sorted(subnet_ids)),
        extra=extra(vpc),
    )


def _blocks(vpc: Element) -> tuple[str, ...]:
    """Return the blocks in force, the first one first."""
    found = [text(vpc, "cidrBlock")]
    for family, name in (("cidrBlock", "cidrBlock"), ("ipv6CidrBlock", "ipv6CidrBlock")):
        for association in items(vpc, f"{family}AssociationSet/item"):
            if (text(association, f"{name}State/state") or "associated") in ATTACHED:
                found.append(text(association, name))
    return tuple(dict.fromkeys(block for block in found if block))
