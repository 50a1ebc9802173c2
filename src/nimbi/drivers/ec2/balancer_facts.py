"""What Elastic Load Balancing tells of a balancer, of its parts, and of who is behind it."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nimbi.drivers.ec2.query import extra, items, number, text, when
from nimbi.drivers.ec2.session import Element, Session
from nimbi.model.load_balancers import Listener, ListenerProtocol, LoadBalancer, Member

# Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Listener.html
# Those that are neither (UDP, QUIC, GENEVE) are left to the cloud's own answer.
DEPTHS = {
    "HTTP": ListenerProtocol.HTTP,
    "HTTPS": ListenerProtocol.HTTP,
    "TCP": ListenerProtocol.TCP,
    "TLS": ListenerProtocol.TCP,
    "TCP_UDP": ListenerProtocol.TCP,
}
# Source: …/APIReference/API_TargetHealth.html; what is in no state here is not known yet.
HEALTHS = {"healthy": True, "unhealthy": False, "unhealthy.draining": False}
# A target that leaves is told for minutes, until its last connection is over.
LEAVING = "draining"
NOT_REGISTERED = "Target.NotRegistered"

# Source: …/APIReference/API_CreateLoadBalancer.html
NAME = re.compile(r"(?!internal-)[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
LARGEST = 400


@dataclass(frozen=True)
class Group:
    """A target group, which sends traffic to one port of instances."""

    arn: str
    name: str
    port: int | None
    is_of_instances: bool


async def whole(
    session: Session, action: str, path: str, asked: Mapping[str, Any]
) -> list[Element]:
    """Return all elements of a list of ELB's, however many pages it has."""
    found: list[Element] = []
    marker: str | None = None
    while True:
        answer = await session.elb(action, {**asked, "PageSize": LARGEST, "Marker": marker})
        found += items(answer, f"{path}/member")
        marker = text(answer, "NextMarker")
        if marker is None:
            return found


async def groups_of(session: Session, arn: str | None = None) -> list[Group]:
    """Return the target groups of one balancer, or all there are."""
    asked = {"LoadBalancerArn": arn}
    return [
        Group(
            text(each, "TargetGroupArn") or "",
            text(each, "TargetGroupName") or "",
            number(each, "Port"),
            text(each, "TargetType") in {"instance", None},
        )
        for each in await whole(session, "DescribeTargetGroups", "TargetGroups", asked)
    ]


async def listeners_of(session: Session, arn: str) -> list[Element]:
    """Return the listeners of a balancer, as the cloud tells of them."""
    asked = {"LoadBalancerArn": arn}
    return await whole(session, "DescribeListeners", "Listeners", asked)


async def told(session: Session, balancer: Element) -> LoadBalancer:
    """Return a balancer with its listeners and members. Raises AwsError when it is gone."""
    arn = text(balancer, "LoadBalancerArn") or ""
    listeners, groups = await asyncio.gather(listeners_of(session, arn), groups_of(session, arn))
    members = merged(
        [
            member
            for of_group in await asyncio.gather(
                *(members_of(session, group) for group in groups if group.is_of_instances)
            )
            for member in of_group
        ]
    )
    ports = {group.arn: group.port for group in groups}
    return LoadBalancer(
        id=text(balancer, "LoadBalancerName") or "",
        name=text(balancer, "LoadBalancerName"),
        public_addresses=tuple(filter(None, [text(balancer, "DNSName")])),
        created_at=when(balancer, "CreatedTime"),
        realm_ids=tuple(
            text(zone, "ZoneName") or "" for zone in items(balancer, "AvailabilityZones/member")
        ),
        listeners=tuple(filter(None, (_listener(each, ports) for each in listeners))),
        instance_ids=tuple(member.instance_id for member in members),
        members=members,
        extra=extra(balancer),
    )


async def members_of(session: Session, group: Group) -> list[Member]:
    """Return the instances of a target group that have not begun to leave it."""
    answer = await session.elb("DescribeTargetHealth", {"TargetGroupArn": group.arn})
    found = []
    for each in items(answer, "TargetHealthDescriptions/member"):
        state, reason = text(each, "TargetHealth/State"), text(each, "TargetHealth/Reason")
        if state != LEAVING and reason != NOT_REGISTERED:
            found.append(
                Member(
                    instance_id=text(each, "Target/Id") or "",
                    healthy=HEALTHS.get(state or ""),
                    reason=text(each, "TargetHealth/Description") or reason,
                )
            )
    return found


def merged(members: Iterable[Member]) -> tuple[Member, ...]:
    """Return each instance once: it is as healthy as in that target group where it is worst."""
    worst: dict[str, Member] = {}
    for member in members:
        other = worst.get(member.instance_id)
        if other is None or _rank(member) < _rank(other):
            worst[member.instance_id] = member
    return tuple(worst[id] for id in sorted(worst))


def _rank(member: Member) -> int:
    return (False, None, True).index(member.healthy)


def _listener(listener: Element, ports: Mapping[str, int | None]) -> Listener | None:
    depth = DEPTHS.get(text(listener, "Protocol") or "")
    port = number(listener, "Port")
    for arn in _targets(listener):
        instance_port = ports.get(arn)
        if depth is not None and port is not None and instance_port is not None:
            return Listener(depth, port, instance_port)
    return None


def _targets(listener: Element) -> Sequence[str]:
    actions = items(listener, "DefaultActions/member")
    weighed = items(listener, "DefaultActions/member/ForwardConfig/TargetGroups/member")
    return [arn for each in (*actions, *weighed) if (arn := text(each, "TargetGroupArn"))]
