"""What DescribeInstances and RunInstances tell of instances."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial

from nimbi.drivers.ec2 import tags
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.pages import Fetch
from nimbi.drivers.ec2.query import (
    Children,
    Extra,
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
from nimbi.wire.xml_read import parse

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


def fetch(session: Session, wanted: Mapping[str, Iterable[str] | str | None]) -> Fetch[Instance]:
    """Return what fetches a page of the instances that filters let through."""

    async def page(token: str | None, size: int) -> tuple[Sequence[Instance], str | None]:
        asked = {"Filter": filters(wanted), "MaxResults": size, "NextToken": token}
        return await session.ec2_known("DescribeInstances", asked, _page_told)

    return page


class _Whole:
    """The text of an answer, made into elements again once somebody asks for more of them."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def item(self, at: int) -> Element:
        return self._items[at]

    @cached_property
    def _items(self) -> list[Element]:
        return [item for _, item in _all(parse(self._text))]


def _all(root: Element) -> Iterator[tuple[Element, Element]]:
    """Yield each reservation with each of its instances."""
    for reservation in items(root, "reservationSet/item"):
        for item in items(reservation, "instancesSet/item"):
            yield reservation, item


def _page_told(root: Element, answer: bytes) -> tuple[Sequence[Instance], str | None]:
    # Elements take ten times the memory of their text, and hardly ever is more asked of them.
    whole = _Whole(answer)
    found = tuple(
        told(item, text(reservation, "ownerId"), Extra(partial(whole.item, at)))
        for at, (reservation, item) in enumerate(_all(root))
    )
    return found, text(root, "nextToken")


async def find(session: Session, id: str) -> Instance:
    """Return one instance. Raises NotFound, also for one that is terminated."""
    asked = {"InstanceId": [known(id, "instance")]}
    root = await session.settled(lambda: session.ec2("DescribeInstances", asked), codes=UNKNOWN)
    for reservation, item in _all(root):
        instance = told(item, text(reservation, "ownerId"), extra(item))
        if instance.state is not InstanceState.FINISH:
            return instance
    raise NotFound(f"there is no instance {id!r}")


def told(item: Element, owner_id: str | None, extra: Extra) -> Instance:
    """Read an Instance. The disk that it boots from is part of it, and none of its volumes.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
    """
    parts = children(item)
    cards = [children(card) for card in parts.get("networkInterfaceSet", ())]
    state = STATES.get(
        leaf(children(parts.get("instanceState")), "name") or "", InstanceState.ERROR
    )
    labels = tags_in(parts.get("tagSet"))
    name = labels.pop(tags.NAME, None)
    labels.pop(tags.TOKEN, None)
    key = leaf(parts, "keyName")
    launched_at = time_of(leaf(parts, "launchTime"), "launchTime")
    return Instance(
        id=leaf(parts, "instanceId") or "",
        name=name,
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
        tags=labels,
        subnet_id=leaf(parts, "subnetId"),
        spot=leaf(parts, "instanceLifecycle") == "spot",
        extra=extra,
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
    parts: Children, number: str, name: str, more: Iterable[str]
) -> tuple[Endpoint, ...]:
    found = []
    if address := leaf(parts, number):
        found.append(Endpoint(address))
    if address := leaf(parts, name):
        found.append(Endpoint(address, AddressKind.HOSTNAME))
    return (*found, *[Endpoint(address, AddressKind.IPV6) for address in more])


def _ipv6(cards: Iterable[Children]) -> list[str]:
    found: list[str] = []
    for card in cards:
        found += _each(card.get("ipv6AddressesSet", ()), "ipv6Address")
    return found


def _volumes(parts: Children) -> tuple[Attachment, ...]:
    root = leaf(parts, "rootDeviceName")
    found = []
    for mapping in parts.get("blockDeviceMapping", ()):
        facts = children(mapping)
        device = leaf(facts, "deviceName")
        id = None if device == root else leaf(children(facts.get("ebs")), "volumeId")
        if id:
            found.append(Attachment(id, device))
    return tuple(found)


def _each(things: Iterable[Element], name: str) -> tuple[str, ...]:
    return _leaves([children(thing) for thing in things], name)


def _leaves(things: Iterable[Children], name: str) -> tuple[str, ...]:
    return tuple([found for thing in things if (found := leaf(thing, name))])
