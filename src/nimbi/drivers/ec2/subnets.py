"""Subnets of AWS, each in one zone."""

from collections.abc import Sequence

from nimbi.driver.network import Subnets
from nimbi.drivers.ec2.blocks import parsed
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.pages import paged
from nimbi.drivers.ec2.query import extra, filters, items, tags, text, truth
from nimbi.drivers.ec2.session import Element, OfSession
from nimbi.drivers.ec2.tags import NAME, by_token, specification
from nimbi.drivers.ec2.wishes import once
from nimbi.model.errors import NotFound
from nimbi.model.networks import NetworkState, NewSubnet, Subnet
from nimbi.model.page import Page

# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Subnet.html
STATES = {"pending": NetworkState.PENDING, "available": NetworkState.UP}
KINDS = {True: "public", False: "private", None: "private"}
GONE = frozenset({"InvalidSubnetID.NotFound"})
SUBNETS = "subnetSet/item"


class Ec2Subnets(OfSession, Subnets):
    """Subnets. One is public when instances in it get a public address without being asked."""

    async def page(self, marker: str | None, limit: int) -> Page[Subnet]:
        async def fetch(token: str | None, size: int) -> tuple[Sequence[Subnet], str | None]:
            asked = {"NextToken": token, "MaxResults": size}
            answer = await self.session.ec2("DescribeSubnets", asked)
            return [told(each) for each in items(answer, SUBNETS)], text(answer, "nextToken")

        return await paged(fetch, marker, limit)

    async def get(self, id: str) -> Subnet:
        known(id, "subnet")
        answer = await self.session.settled(
            lambda: self.session.ec2("DescribeSubnets", {"SubnetId": [id]}), codes=GONE
        )
        for subnet in items(answer, SUBNETS):
            return told(subnet)
        raise NotFound(f"there is no subnet {id!r}")

    async def create(self, new: NewSubnet) -> Subnet:
        wish = {
            "VpcId": known(new.network_id, "network"),
            "CidrBlock": str(parsed(new.address_block)),
            "TagSpecification": specification("subnet", new.token, new.name),
        }

        async def find() -> Subnet | None:
            asked = {"Filter": filters(by_token(new.token))}
            answer = await self.session.ec2("DescribeSubnets", asked)
            return next((told(each) for each in items(answer, SUBNETS)), None)

        async def make() -> Subnet:
            answer = await self.session.settled(
                lambda: self.session.ec2("CreateSubnet", wish, changes=True),
                codes={"InvalidVpcID.NotFound"},
                ids=(new.network_id,),
            )
            made = told(items(answer, "subnet")[0])
            self.session.fresh(made.id)
            return made

        return await once(self.session, "subnet", new.token, find, make)

    async def destroy(self, id: str) -> None:
        asked = {"SubnetId": known(id, "subnet")}
        await self.session.settled(
            lambda: self.session.ec2("DeleteSubnet", asked, changes=True), codes=GONE, ids=(id,)
        )


def told(subnet: Element) -> Subnet:
    """Return the subnet that an element of DescribeSubnets tells of."""
    return Subnet(
        id=text(subnet, "subnetId") or "",
        name=tags(subnet).get(NAME),
        state=STATES.get(text(subnet, "state") or "", NetworkState.DOWN),
        address_block=_block(subnet),
        network_id=text(subnet, "vpcId") or "",
        kind=KINDS[truth(subnet, "mapPublicIpOnLaunch")],
        extra=extra(subnet),
    )


def _block(subnet: Element) -> str:
    """Return the block of IPv4, or that of IPv6 when the subnet has no other."""
    return (
        text(subnet, "cidrBlock")
        or text(subnet, "ipv6CidrBlockAssociationSet/item/ipv6CidrBlock")
        or ""
    )
