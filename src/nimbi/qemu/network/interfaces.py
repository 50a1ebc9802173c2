"""Network interfaces: the cards of guests, each with an address that nothing else has."""

from dataclasses import replace
from datetime import datetime

from nimbi.qemu.errors import Capacity, Conflict, Invalid, NotFound
from nimbi.qemu.network.blocks import Block, free_address
from nimbi.qemu.network.firewalls import DEFAULT_ID as DEFAULT_FIREWALL
from nimbi.qemu.network.firewalls import MAX_BEFORE_A_GUEST
from nimbi.qemu.network.networks import DEFAULT_ID, subnets_of
from nimbi.qemu.network.plan import FIRST_SLOT, LATER_SLOTS, mac
from nimbi.qemu.network.records import (
    Card,
    Firewall,
    NetworkRecord,
    Records,
    Subnet,
    check_name,
    digits,
    identity,
    wish,
)


def first_card_id(guest_id: str) -> str:
    """Return the id of the card that a guest is made with."""
    return f"eni-{digits(f'first card of {guest_id}')}"


def join(
    records: Records, guest_id: str, firewall_ids: tuple[str, ...] | None, at: datetime
) -> tuple[Records, Card]:
    """Return the records with a guest's first card, and the card itself; repeated: the same.

    With no firewalls the guest is behind the default one; None leaves it behind those that it has.
    Raises NotFound for a firewall, Invalid, Capacity.
    """
    id = first_card_id(guest_id)
    made = records.cards.get(id)
    if made and firewall_ids is None:
        return records, made
    walls = _checked_walls(records, firewall_ids or ())
    if made:
        made = replace(made, firewall_ids=walls)
        return records.having(made), made
    ip, subnet_id = _place(records, DEFAULT_ID, None)
    made = Card(
        id=id,
        name=None,
        created_at=at,
        wish="",
        guest_id=guest_id,
        network_id=DEFAULT_ID,
        subnet_id=subnet_id,
        ip=ip,
        mac=_free_mac(records, id),
        slot=FIRST_SLOT,
        firewall_ids=walls,
    )
    return records.having(made), made


def _checked_walls(records: Records, firewall_ids: tuple[str, ...]) -> tuple[str, ...]:
    walls = tuple(dict.fromkeys(firewall_ids)) or (DEFAULT_FIREWALL,)
    if len(walls) > MAX_BEFORE_A_GUEST:
        raise Invalid(f"a guest is behind {MAX_BEFORE_A_GUEST} firewalls at most")
    for wall in walls:
        records.find(Firewall, wall)
    return walls


def add_card(
    records: Records,
    *,
    guest_id: str,
    network_id: str | None,
    subnet_id: str | None,
    name: str | None,
    token: str | None,
    at: datetime,
) -> tuple[Records, Card]:
    """Return the records with one more card of a guest, which it has yet to be given.

    In a network with subnets the card is in one of them. Raises NotFound, Invalid for neither a
    network nor a subnet, or for two that do not go together, Capacity.
    """
    id, asked = identity(Card, token), wish(guest_id, network_id, subnet_id, name)
    if made := records.made_before(Card, id, asked):
        return records, made
    network, subnet = _asked_place(records, network_id, subnet_id)
    of_guest = cards_of(records, guest_id)
    if not any(card.first for card in of_guest):
        raise NotFound(f"there is no guest {guest_id!r}")
    taken = {card.slot for card in of_guest}
    slot = next((slot for slot in LATER_SLOTS if slot not in taken), None)
    if slot is None:
        raise Capacity(f"guest {guest_id} has {len(of_guest)} network interfaces, which is all")
    ip, chosen = _place(records, network.id, subnet)
    made = Card(
        id=id,
        name=None if name is None else check_name(name, "network interface"),
        created_at=at,
        wish=asked,
        guest_id=guest_id,
        network_id=network.id,
        subnet_id=chosen,
        ip=ip,
        mac=_free_mac(records, id),
        slot=slot,
        joining=True,
    )
    return records.having(made), made


def leave(records: Records, id: str) -> Records:
    """Return the records with a card that shall go. Raises NotFound, Conflict for a first card."""
    card = records.find(Card, id)
    if card.first:
        raise Conflict(f"{id!r} is the first network interface of its instance, and stays")
    return records.having(replace(card, leaving=True))


def cards_of(records: Records, guest_id: str) -> list[Card]:
    """Return the cards of a guest, in the order of their slots: the first one first."""
    found = [card for card in records.cards.values() if card.guest_id == guest_id]
    return sorted(found, key=lambda card: card.slot)


def firewalls_of(records: Records, guest_id: str) -> tuple[str, ...]:
    """Return the ids of the firewalls that a guest is behind."""
    card = records.cards.get(first_card_id(guest_id))
    return card.firewall_ids if card else ()


def forget_guest(records: Records, guest_id: str) -> Records:
    """Return the records without a guest: its cards, and whatever points at it."""
    addresses = [
        replace(address, guest_id=None)
        for address in records.addresses.values()
        if address.guest_id == guest_id
    ]
    balancers = [
        replace(balancer, guest_ids=tuple(g for g in balancer.guest_ids if g != guest_id))
        for balancer in records.balancers.values()
        if guest_id in balancer.guest_ids
    ]
    running = [records.running[guest_id]] if guest_id in records.running else []
    return records.without(*running, *cards_of(records, guest_id)).having(*addresses, *balancers)


def _asked_place(
    records: Records, network_id: str | None, subnet_id: str | None
) -> tuple[NetworkRecord, Subnet | None]:
    if network_id is None and subnet_id is None:
        raise Invalid("a network interface needs a network or a subnet")
    network = None if network_id is None else records.find(NetworkRecord, network_id)
    if subnet_id is None:
        assert network is not None  # noqa: S101  one of the two is there, see above
        return network, None
    subnet = records.find(Subnet, subnet_id)
    if network is not None and subnet.network_id != network.id:
        raise Invalid(f"the subnet {subnet_id!r} is not in the network {network_id!r}")
    return network or records.networks[subnet.network_id], subnet


def _place(records: Records, network_id: str, subnet: Subnet | None) -> tuple[str, str | None]:
    """Return a free address, and the subnet in which it is. Raises Capacity."""
    network = records.networks[network_id]
    subnets = subnets_of(records, network_id) if subnet is None else [subnet]
    taken = {card.ip for card in records.cards.values()}
    for candidate in subnets:
        if ip := free_address(Block(candidate.block), taken):
            return ip, candidate.id
    if not subnets and (ip := free_address(Block(network.block), taken)):
        return ip, None
    where = f"the subnet {subnet.id!r}" if subnet else f"the network {network_id!r}"
    raise Capacity(f"no address is free in {where}")


def _free_mac(records: Records, id: str) -> str:
    taken = {card.mac for card in records.cards.values()}
    number = 0
    while (made := mac(f"{id} {number}")) in taken:
        number += 1
    return made
