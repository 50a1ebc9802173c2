"""The parts of a balancer that are made for it alone: firewall, target groups, listeners.

Their names come from the wish's token, so that a repeated wish finds what an attempt before made,
and whoever destroys the balancer finds all of them.
"""

import asyncio
from collections.abc import Sequence

from nimbi.drivers.ec2.balancer_facts import groups_of, listeners_of
from nimbi.drivers.ec2.errors import AwsError, to_error
from nimbi.drivers.ec2.query import filters, items, number, text
from nimbi.drivers.ec2.session import Element, Session
from nimbi.drivers.ec2.tags import TOKEN
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.load_balancers import Listener, ListenerProtocol

TYPES = {ListenerProtocol.HTTP: "application", ListenerProtocol.TCP: "network"}
PROTOCOLS = {ListenerProtocol.HTTP: "HTTP", ListenerProtocol.TCP: "TCP"}
# An application balancer of AWS is in at least so many zones.
ZONES = {ListenerProtocol.HTTP: 2, ListenerProtocol.TCP: 1}
LAST_PORT = 65535

# The tag of a part that says which balancer it is of.
OF = "nimbi:load-balancer"
GROUPS = "securityGroupInfo/item"
TAKEN = frozenset({"InvalidGroup.Duplicate", "InvalidPermission.Duplicate"})
HELD = "DependencyViolation"
PAUSE_S = 2.0


def stem(digest: str) -> str:
    """Return how the names of the parts begin that a token's digest has made."""
    return f"nimbi-{digest[:16]}"


def depth_of(listeners: Sequence[Listener]) -> ListenerProtocol:
    """Return what all listeners are. Raises Invalid for those that make no sense together."""
    if not listeners:
        raise Invalid("a load balancer needs at least one listener")
    for listener in listeners:
        for port in (listener.balancer_port, listener.instance_port):
            if not 1 <= port <= LAST_PORT:
                raise Invalid(f"ports are 1 to {LAST_PORT}, not {port}")
    if len({listener.balancer_port for listener in listeners}) < len(listeners):
        raise Invalid("two listeners have the same port of the balancer")
    depths = {listener.protocol for listener in listeners}
    if len(depths) > 1:
        raise Invalid("a load balancer of AWS listens for HTTP or for TCP, not both: make two")
    return depths.pop()


async def subnets_for(session: Session, depth: ListenerProtocol, realm_id: str | None) -> list[str]:
    """Return the subnets of the default network for a balancer: all of them, or near a realm.

    Raises Invalid when there are too few.
    """
    asked = {"Filter": filters({"default-for-az": "true"})}
    answer = await session.ec2("DescribeSubnets", asked)
    by_zone = {
        text(each, "availabilityZone") or "": text(each, "subnetId") or ""
        for each in items(answer, "subnetSet/item")
    }
    if realm_id is not None and realm_id not in by_zone:
        raise Invalid(f"the default network has no subnet in a realm {realm_id[:100]!r}")
    zones = sorted(by_zone, key=lambda zone: (zone != realm_id, zone))
    if len(zones) < ZONES[depth]:
        raise Invalid(f"a balancer of {depth} needs default subnets in {ZONES[depth]} realms")
    return [by_zone[zone] for zone in (zones if realm_id is None else zones[: ZONES[depth]])]


async def opened_firewall(
    session: Session, name: str, digest: str, listeners: Sequence[Listener]
) -> str:
    """Return a firewall that lets everybody in at a balancer's ports."""
    wish = {
        "GroupName": stem(digest),
        "GroupDescription": f"Ports of the load balancer {name}",
        "TagSpecification": [
            {
                "ResourceType": "security-group",
                "Tag": [{"Key": TOKEN, "Value": digest}, {"Key": OF, "Value": name}],
            }
        ],
    }
    try:
        answer = await session.ec2("CreateSecurityGroup", wish, changes=True)
        id = text(answer, "groupId") or ""
        session.fresh(id)
    except AwsError as error:
        if error.code not in TAKEN:
            raise
        id = (await firewalls_of(session, name))[0]
    for listener in listeners:
        await _open(session, id, listener.balancer_port)
    return id


async def _open(session: Session, id: str, port: int) -> None:
    permission = {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    }
    wish = {"GroupId": id, "IpPermissions": [permission]}
    try:
        await session.settled(
            lambda: session.ec2("AuthorizeSecurityGroupIngress", wish, changes=True),
            {"InvalidGroup.NotFound"},
            (id,),
        )
    except AwsError as error:
        if error.code not in TAKEN:
            raise


async def firewalls_of(session: Session, name: str) -> list[str]:
    """Return the ids of the firewalls that were made for a balancer of this name."""
    asked = {"Filter": filters({f"tag:{OF}": name})}
    answer = await session.ec2("DescribeSecurityGroups", asked)
    return [text(each, "groupId") or "" for each in items(answer, GROUPS)]


async def completed(
    session: Session, balancer: Element, digest: str, listeners: Sequence[Listener]
) -> None:
    """Make the target groups and listeners that a balancer lacks yet."""
    arn = text(balancer, "LoadBalancerArn") or ""
    there = {number(each, "Port") for each in await listeners_of(session, arn)}
    for listener in listeners:
        if listener.balancer_port not in there:
            group_arn = await _group(session, balancer, digest, listener)
            wish = {
                "LoadBalancerArn": arn,
                "Protocol": PROTOCOLS[listener.protocol],
                "Port": listener.balancer_port,
                "DefaultActions": [{"Type": "forward", "TargetGroupArn": group_arn}],
            }
            await session.elb("CreateListener", wish, changes=True)


async def _group(session: Session, balancer: Element, digest: str, listener: Listener) -> str:
    name = f"{stem(digest)}-{listener.balancer_port}"
    wish = {
        "Name": name,
        "Protocol": PROTOCOLS[listener.protocol],
        "Port": listener.instance_port,
        "VpcId": text(balancer, "VpcId"),
        "TargetType": "instance",
        "Tags": [{"Key": TOKEN, "Value": digest}],
    }
    try:
        answer = await session.elb("CreateTargetGroup", wish, changes=True)
    except AwsError as error:
        if not isinstance(to_error(error), Conflict):
            raise
        answer = await session.elb("DescribeTargetGroups", {"Names": [name]})
    return text(answer, "TargetGroups/member/TargetGroupArn") or ""


async def removed(session: Session, arn: str, digest: str) -> None:
    """Take a balancer's listeners and target groups away; what is gone already is no error."""
    for listener in await listeners_of(session, arn):
        await _gone(session, "DeleteListener", "ListenerArn", text(listener, "ListenerArn"))
    for group in await groups_of(session):
        if group.name.startswith(f"{stem(digest)}-"):
            await _gone(session, "DeleteTargetGroup", "TargetGroupArn", group.arn)


async def _gone(session: Session, action: str, name: str, arn: str | None) -> None:
    try:
        await session.elb(action, {name: arn}, changes=True)
    except AwsError as error:
        if not isinstance(to_error(error), NotFound):
            raise


async def firewall_removed(session: Session, id: str) -> None:
    """Take a balancer's firewall away, as soon as the balancer's own interfaces are gone."""
    while True:
        try:
            await session.ec2("DeleteSecurityGroup", {"GroupId": id}, changes=True)
        except AwsError as error:
            if isinstance(to_error(error), NotFound):
                return
            if error.code != HELD:
                raise
            await asyncio.sleep(PAUSE_S)
        else:
            return
