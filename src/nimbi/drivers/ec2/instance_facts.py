"""What DescribeInstances and RunInstances tell of instances."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from nimbi.drivers.ec2 import tags
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.pages import Fetch
from nimbi.drivers.ec2.query import (
    Children,
    children,
    extra,
    filters,
    items,
    leaf,
    tags_in,
    text,
    time_of,
)
from nimbi.drivers.ec2.session import Element, Session
from nimbi.model.errors import NotFound
from nimbi.model.instances import (
    AddressKind,
    Attachment,
    Endpoint,
    Instance,
    InstanceState,
    Login,
)

# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceState.html
STATES: Mapping[str, InstanceState] = {
    "pending": InstanceState.PENDING,
    "running": InstanceState.RUNNING,
    "shutting-down": InstanceState.STOPPING,
    "stopping": InstanceState.STOPPING,
    "stopped": InstanceState.STOPPED,
    "terminated": InstanceState.FINISH,
}
LIVE = tuple(name for name, state in STATES.items() if state is not InstanceState.FINISH)
NAMES: Mapping[InstanceState, tuple[str, ...]] = {
    state: tuple(name for name in LIVE if STATES[name] is state)
    for state in STATES.values()
    if state is not InstanceState.FINISH
}

UNKNOWN = frozenset({"InvalidInstanceID.NotFound"})
IMAGED = frozenset({InstanceState.RUNNING, InstanceState.STOPPING, InstanceState.STOPPED})
OWN_TAGS = frozenset({tags.NAME, tags.TOKEN})


def fetch(session: Session, wanted: Mapping[str, Iterable[str] | str | None]) -> Fetch[Instance]:
    """Return what fetches a page of the instances that filters let through."""

    async def page(token: str | None, size: int) -> tuple[Sequence[Instance], str | None]:
        asked = {"Filter": filters(wanted), "MaxResults": size, "NextToken": token}
        root = await session.ec2("DescribeInstances", asked)
        found = [
            told(item, text(reservation, "ownerId"))
            for reservation in items(root, "reservationSet/item")
            for item in items(reservation, "instancesSet/item")
        ]
        return found, text(root, "nextToken")

    return page


async def find(session: Session, id: str) -> Instance:
    """Return one instance. Raises NotFound, also for one that is terminated."""
    asked = {"InstanceId": [known(id, "instance")]}
    root = await session.settled(lambda: session.ec2("DescribeInstances", asked), codes=UNKNOWN)
    for reservation in items(root, "reservationSet/item"):
        for item in items(reservation, "instancesSet/item"):
            instance = told(item, text(reservation, "ownerId"))
            if instance.state is not InstanceState.FINISH:
                return instance
    raise NotFound(f"there is no instance {id!r}")


def told(item: Element, owner_id: str | None) -> Instance:
    """Read an Instance. The disk that it boots from is part of it, and none of its volumes.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
    """
    parts = children(item)
    cards = [children(card) for card in parts.get("networkInterfaceSet", ())]
    state = STATES.get(
        leaf(children(parts.get("instanceState")), "name") or "", InstanceState.ERROR
    )
    labels = tags_in(parts.get("tagSet"))
    key = leaf(parts, "keyName")
    launched_at = time_of(leaf(parts, "launchTime"), "launchTime")
    return Instance(
        id=leaf(parts, "instanceId") or "",
        name=labels.get(tags.NAME),
        owner_id=owner_id,
        image_id=leaf(parts, "imageId"),
        realm_id=leaf(children(parts.get("placement")), "availabilityZone"),
        hardware_profile_id=leaf(parts, "instanceType"),
        state=state,
        launched_at=launched_at,
        created_at=_created_at(cards) or launched_at,
        public_addresses=_addresses(parts, "ipAddress", "dnsName", _ipv6(cards)),
        private_addresses=_addresses(parts, "privateIpAddress", "privateDnsName", ()),
        firewall_ids=_each(parts.get("groupSet", ()), "groupId"),
        volumes=_volumes(parts),
        network_interface_ids=_leaves(cards, "networkInterfaceId"),
        login=Login(key_id=key) if key else None,
        can_be_imaged=state in IMAGED and leaf(parts, "rootDeviceType") == "ebs",
        state_reason=_reason(parts),
        tags={key: value for key, value in labels.items() if key not in OWN_TAGS},
        subnet_id=leaf(parts, "subnetId"),
        spot=leaf(parts, "instanceLifecycle") == "spot",
        extra=extra(item),
    )


def _created_at(cards: Iterable[Children]) -> datetime | None:
    """Return when the first network card was plugged in: once, unlike a launch."""
    for card in cards:
        attachment = children(card.get("attachment"))
        if leaf(attachment, "deviceIndex") == "0":
            return time_of(leaf(attachment, "attachTime"), "attachTime")
    return None


def _reason(parts: Children) -> str | None:
    return leaf(children(parts.get("stateReason")), "message") or leaf(parts, "reason")


def _addresses(
    parts: Children, number: str, name: str, more: tuple[str, ...]
) -> tuple[Endpoint, ...]:
    found = ((leaf(parts, number), AddressKind.IPV4), (leaf(parts, name), AddressKind.HOSTNAME))
    return (
        *(Endpoint(address, kind) for address, kind in found if address),
        *(Endpoint(address, AddressKind.IPV6) for address in more),
    )


def _ipv6(cards: Iterable[Children]) -> tuple[str, ...]:
    return tuple(
        address
        for card in cards
        for address in _each(card.get("ipv6AddressesSet", ()), "ipv6Address")
    )


def _volumes(parts: Children) -> tuple[Attachment, ...]:
    root = leaf(parts, "rootDeviceName")
    mappings = map(children, parts.get("blockDeviceMapping", ()))
    return tuple(
        Attachment(id, device)
        for mapping in mappings
        if (id := leaf(children(mapping.get("ebs")), "volumeId"))
        and (device := leaf(mapping, "deviceName")) != root
    )


def _each(things: Iterable[Element], name: str) -> tuple[str, ...]:
    return _leaves(map(children, things), name)


def _leaves(things: Iterable[Children], name: str) -> tuple[str, ...]:
    return tuple(found for thing in things if (found := leaf(thing, name)))
