"""Network interfaces of AWS, made and attached as one, detached and deleted as one."""

import asyncio
from collections.abc import Sequence
from typing import Any

from nimbi.driver.network import NetworkInterfaces
from nimbi.drivers.ec2.errors import AwsError, to_error
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.lists import whole
from nimbi.drivers.ec2.pages import paged
from nimbi.drivers.ec2.query import extra, filters, items, number, tags, text, truth
from nimbi.drivers.ec2.session import Element, OfSession
from nimbi.drivers.ec2.tags import NAME, by_token, digest, specification
from nimbi.drivers.ec2.wishes import once
from nimbi.model.errors import (
    CloudUnavailable,
    Conflict,
    Invalid,
    NotFound,
    Throttled,
    UnknownOutcome,
)
from nimbi.model.networks import NetworkInterface, NetworkState, NewNetworkInterface
from nimbi.model.page import Page

# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterface.html
STATES = {
    "pending": NetworkState.PENDING,
    "attaching": NetworkState.PENDING,
    "detaching": NetworkState.PENDING,
    "in-use": NetworkState.UP,
    "associated": NetworkState.UP,
    "available": NetworkState.DOWN,
}
GONE = frozenset({"InvalidNetworkInterfaceID.NotFound"})
NOT_ATTACHED = frozenset({"InvalidAttachmentID.NotFound"})
INTERFACES = "networkInterfaceSet/item"
INSTANCES = "reservationSet/item/instancesSet/item"
DEAD = frozenset({"shutting-down", "terminated"})
# After these an attachment may yet be made by asking again.
PASSING = (Throttled, CloudUnavailable, UnknownOutcome)

PAUSE_S = 0.5


class Ec2NetworkInterfaces(OfSession, NetworkInterfaces):
    """Elastic network interfaces. One that is made here goes with its instance."""

    features = frozenset({"firewalls"})

    async def page(self, marker: str | None, limit: int) -> Page[NetworkInterface]:
        async def fetch(
            token: str | None, size: int
        ) -> tuple[Sequence[NetworkInterface], str | None]:
            asked = {"NextToken": token, "MaxResults": size}
            answer = await self.session.ec2("DescribeNetworkInterfaces", asked)
            return [_told(each) for each in items(answer, INTERFACES)], text(answer, "nextToken")

        return await paged(fetch, marker, limit)

    async def get(self, id: str) -> NetworkInterface:
        return _told(await self._found(id))

    async def create(self, new: NewNetworkInterface) -> NetworkInterface:
        """Make an interface and attach it; what can't be attached is deleted again."""
        for firewall_id in new.firewall_ids:
            known(firewall_id, "firewall")
        specified = specification("network-interface", new.token, new.name)
        instance_id = new.instance_id or ""
        instance = await self._instance(instance_id)
        subnet_id = await self._subnet(new, instance)
        wish = {
            "SubnetId": subnet_id,
            "SecurityGroupId": list(new.firewall_ids),
            "ClientToken": digest(new.token),
            "TagSpecification": specified,
        }

        async def find() -> NetworkInterface | None:
            asked = {"Filter": filters(by_token(new.token))}
            answer = await self.session.ec2("DescribeNetworkInterfaces", asked)
            for found in items(answer, INTERFACES):
                return await self._attached(found, instance_id)
            return None

        async def make() -> NetworkInterface:
            answer = await self.session.ec2("CreateNetworkInterface", wish, changes=True)
            made = items(answer, "networkInterface")[0]
            self.session.fresh(text(made, "networkInterfaceId") or "")
            return await self._attached(made, instance_id)

        return await once(self.session, "network-interface", new.token, find, make)

    async def destroy(self, id: str) -> None:
        """Detach it and delete it. Raises Conflict for the first one of an instance."""
        interface = await self._found(id)
        attachment_id = text(interface, "attachment/attachmentId")
        if attachment_id is not None:
            if number(interface, "attachment/deviceIndex") == 0:
                raise Conflict(f"the network interface {id!r} is the first one of its instance")
            await self._detached(id, attachment_id)
        asked = {"NetworkInterfaceId": id}
        await self.session.ec2("DeleteNetworkInterface", asked, changes=True)

    async def _found(self, id: str) -> Element:
        asked = {"NetworkInterfaceId": [known(id, "network interface")]}
        answer = await self.session.settled(
            lambda: self.session.ec2("DescribeNetworkInterfaces", asked), GONE, (id,)
        )
        for interface in items(answer, INTERFACES):
            return interface
        raise NotFound(f"there is no network interface {id!r}")

    async def _instance(self, id: str) -> Element:
        asked = {"InstanceId": [known(id, "instance")]}
        answer = await self.session.settled(
            lambda: self.session.ec2("DescribeInstances", asked),
            {"InvalidInstanceID.NotFound"},
            (id,),
        )
        for instance in items(answer, INSTANCES):
            if text(instance, "instanceState/name") not in DEAD:
                return instance
        raise NotFound(f"there is no instance {id!r}")

    async def _subnet(self, new: NewNetworkInterface, instance: Element) -> str:
        """Return the id of the subnet that is asked, or of the first one near the instance."""
        if new.subnet_id is not None:
            return await self._subnet_in(new.subnet_id, new.network_id)
        if new.network_id is None:
            raise Invalid("a network interface needs a network or a subnet")
        await self._network(new.network_id)
        zone = text(instance, "placement/availabilityZone")
        wanted = filters({"vpc-id": new.network_id, "availability-zone": zone})
        subnets = await whole(self.session, "DescribeSubnets", "subnetSet/item", {"Filter": wanted})
        if not subnets:
            raise Invalid(f"the network {new.network_id!r} has no subnet in the realm {zone!r}")
        return min(text(subnet, "subnetId") or "" for subnet in subnets)

    async def _subnet_in(self, id: str, network_id: str | None) -> str:
        asked = {"SubnetId": [known(id, "subnet")]}
        answer = await self.session.settled(
            lambda: self.session.ec2("DescribeSubnets", asked), {"InvalidSubnetID.NotFound"}, (id,)
        )
        if network_id is not None and text(answer, "subnetSet/item/vpcId") != network_id:
            await self._network(network_id)
            raise Invalid(f"the subnet {id!r} is not in the network {network_id!r}")
        return id

    async def _network(self, id: str) -> None:
        asked = {"VpcId": [known(id, "network")]}
        await self.session.settled(
            lambda: self.session.ec2("DescribeVpcs", asked), {"InvalidVpcID.NotFound"}, (id,)
        )

    async def _attached(self, interface: Element, instance_id: str) -> NetworkInterface:
        """Return an interface after attaching it, unless it is attached already."""
        id = text(interface, "networkInterfaceId") or ""
        if text(interface, "attachment/instanceId") is None:
            try:
                await self._attach(id, instance_id)
            except AwsError as error:
                if not isinstance(to_error(error), PASSING):
                    asked = {"NetworkInterfaceId": id}
                    await self.session.ec2("DeleteNetworkInterface", asked, changes=True)
                raise
        interface = await self._found(id)
        await self._bind(interface)
        return _told(interface)

    async def _attach(self, id: str, instance_id: str) -> None:
        taken = {
            number(each, "attachment/deviceIndex")
            for each in items(await self._instance(instance_id), "networkInterfaceSet/item")
        }
        free = next(index for index in range(1, len(taken) + 2) if index not in taken)
        asked = {"NetworkInterfaceId": id, "InstanceId": instance_id, "DeviceIndex": free}
        await self.session.settled(
            lambda: self.session.ec2("AttachNetworkInterface", asked, changes=True), GONE, (id,)
        )

    async def _bind(self, interface: Element) -> None:
        """Let an interface go with its instance: it was made for this one alone."""
        attachment_id = text(interface, "attachment/attachmentId")
        if attachment_id and not truth(interface, "attachment/deleteOnTermination"):
            wish = {
                "NetworkInterfaceId": text(interface, "networkInterfaceId"),
                "Attachment": {"AttachmentId": attachment_id, "DeleteOnTermination": True},
            }
            await self.session.ec2("ModifyNetworkInterfaceAttribute", wish, changes=True)

    async def _detached(self, id: str, attachment_id: str) -> None:
        """Return as soon as an interface is free."""
        try:
            asked: dict[str, Any] = {"AttachmentId": attachment_id}
            await self.session.ec2("DetachNetworkInterface", asked, changes=True)
        except AwsError as error:
            # Another one has detached it meanwhile, or begun to.
            if error.code not in NOT_ATTACHED and not isinstance(to_error(error), Conflict):
                raise
        while text(interface := await self._found(id), "status") != "available":
            if text(interface, "attachment/status") == "attached":
                raise Conflict(f"the network interface {id!r} is attached again")
            await asyncio.sleep(PAUSE_S)


def _told(interface: Element) -> NetworkInterface:
    return NetworkInterface(
        id=text(interface, "networkInterfaceId") or "",
        name=tags(interface).get(NAME),
        state=STATES.get(text(interface, "status") or "", NetworkState.DOWN),
        ip_address=text(interface, "privateIpAddress") or text(interface, "ipv6Address"),
        network_id=text(interface, "vpcId"),
        subnet_id=text(interface, "subnetId"),
        instance_id=text(interface, "attachment/instanceId"),
        firewall_ids=tuple(
            text(group, "groupId") or "" for group in items(interface, "groupSet/item")
        ),
        extra=extra(interface),
    )
