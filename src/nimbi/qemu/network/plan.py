"""What the network of all guests shall be, as plain data: built from records, applied whole.

Nothing here touches the machine. `Fabric.apply` makes it true, text for nftables and dnsmasq is
made from it by pure functions. Everything that is named in a plan is checked by `check`, so that
no text of a user becomes syntax.
"""

import base64
import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from nimbi.qemu.errors import Conflict, Invalid

METADATA = IPv4Address("169.254.169.254")
LOCAL = IPv4Address("127.0.0.1")
"""Clients of published ports, and all programs of this machine, count as coming from here."""

ANYWHERE = IPv4Network("0.0.0.0/0")
FIRST_SLOT = 3
LATER_SLOTS = range(20, 32)
"""PCI slots of a guest's first card, and of the others."""

MIN_PREFIX, MAX_PREFIX = 8, 29
MAX_PORT = 65535
MAX_ICMP = 255
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
LABEL = re.compile(r"(?=.{1,63}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
MAC = re.compile(r"[0-9a-f][26ae](?::[0-9a-f]{2}){5}")
RESERVED = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")))
"""Blocks in which no subnet can lie."""


class Protocol(StrEnum):
    """What a rule lets in."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


@dataclass(frozen=True, kw_only=True)
class PlannedNetwork:
    """One isolated network. `subnets` are its blocks; each has its gateway at its first address.

    Subnets of different networks do not overlap: all are routed in one place. Guests find each
    other by the names of their cards, alone and with `.domain` behind.
    """

    id: str
    subnets: tuple[IPv4Network, ...]
    domain: str = "internal"

    @property
    def bridge(self) -> str:
        """Return the name of its bridge."""
        return f"b{short(self.id)}"

    @property
    def gateways(self) -> tuple[IPv4Address, ...]:
        """Return the gateway of each subnet, in the same order."""
        return tuple(gateway(subnet) for subnet in self.subnets)


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What one rule of a firewall lets in: from blocks of addresses, and from firewalls' members.

    `port_from` to `port_to`, both included; without meaning for ICMP, of which it lets in one type
    and code (0 to 255) when these are given. `balanced` lets in the programs of the fabric that
    balance load, and no client of a published port. A rule without any source lets nothing in.
    """

    protocol: Protocol
    port_from: int = 1
    port_to: int = MAX_PORT
    blocks: tuple[IPv4Network, ...] = ()
    firewall_ids: tuple[str, ...] = ()
    icmp_type: int | None = None
    icmp_code: int | None = None
    balanced: bool = False


@dataclass(frozen=True, kw_only=True)
class PlannedFirewall:
    """A set of openings. Its members are the cards that name it."""

    id: str
    openings: tuple[Opening, ...]

    @property
    def key(self) -> str:
        """Return what stands for it in names of chains and sets."""
        return short(self.id)


@dataclass(frozen=True, kw_only=True)
class Card:
    """One network card of a guest.

    `slot` is its PCI slot: FIRST_SLOT for the guest's first card, which alone gets a default
    route, or one of LATER_SLOTS. What reaches the card is what any of its firewalls lets in, and
    answers to what it sent: without a firewall nothing else. `outgoing` lets it reach what is
    outside of all networks. `names` are host names for the network's DNS. `metadata` is the file,
    made by `metadata.write`, that tells the guest about itself; None when it is told nothing.
    """

    guest_id: str
    slot: int
    network_id: str
    mac: str
    ip: IPv4Address
    names: tuple[str, ...] = ()
    firewall_ids: tuple[str, ...] = ()
    outgoing: bool = True
    metadata: Path | None = None

    @property
    def tap(self) -> str:
        """Return the name of the tap device that is this card's other end."""
        return f"t{short(f'{self.guest_id}/{self.slot}')}"


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A port of this machine that leads to one of a guest, for clients that its firewalls let in.

    `to` is the address of a card; or, without a fabric (rung `user`), LOCAL. There no firewall is
    asked, and none for `to` LOCAL in the fabric, where balancers listen.
    """

    address: IPv4Address
    port: int
    to: IPv4Address
    to_port: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything. What is not in it is not there after it was applied."""

    networks: tuple[PlannedNetwork, ...] = ()
    firewalls: tuple[PlannedFirewall, ...] = ()
    cards: tuple[Card, ...] = ()
    publications: tuple[Publication, ...] = ()

    def cards_of(self, network_id: str) -> tuple[Card, ...]:
        """Return the cards of one network."""
        return tuple(card for card in self.cards if card.network_id == network_id)


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What came of a plan. `refused` is {publication: why it is not there}, as a port in use."""

    refused: Mapping[Publication, str] = field(default_factory=dict)


def gateway(subnet: IPv4Network) -> IPv4Address:
    """Return the address of a subnet that is the network's own; guests get the ones behind it."""
    return subnet.network_address + 1


def mac(text: str) -> str:
    """Return the hardware address that belongs to a text, as the id of a network interface."""
    octets = hashlib.sha256(text.encode()).digest()[:5]
    return ":".join(f"{octet:02x}" for octet in (0x02, *octets))


def short(text: str) -> str:
    """Return 13 letters and digits: the name of a network device has 15 characters at most."""
    digest = hashlib.sha256(text.encode()).digest()[:8]
    return base64.b32encode(digest).decode().rstrip("=").lower()


def check(plan: Plan) -> None:
    """Raise Invalid for what cannot be, Conflict for what is there twice."""
    _once("network", (network.id for network in plan.networks))
    _once("firewall", (firewall.id for firewall in plan.firewalls))
    _once("card", ((card.guest_id, card.slot) for card in plan.cards))
    _once("address", (card.ip for card in plan.cards))
    _once("hardware address", (card.mac for card in plan.cards))
    _once("published port", ((p.address, p.port) for p in plan.publications))
    _check_networks(plan.networks)
    _check_firewalls(plan)
    for card in plan.cards:
        _check_card(card, plan)
    for publication in plan.publications:
        _check_ports(publication.port, publication.to_port)


def _once(what: str, values: Iterable[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise Conflict(f"{what} {value} is there twice")
        seen.add(value)


def _check_networks(networks: Iterable[PlannedNetwork]) -> None:
    owners: list[tuple[IPv4Network, str]] = []
    for network in networks:
        _check_id(network.id)
        if not all(map(LABEL.fullmatch, network.domain.split("."))) or len(network.domain) > 200:
            raise Invalid(f"{network.domain!r} is no domain")
        if not network.subnets:
            raise Invalid(f"network {network.id} has no subnet")
        for subnet in network.subnets:
            check_subnet(subnet)
        owners += ((subnet, network.id) for subnet in network.subnets)
    owners.sort()
    # Blocks of one network may lie in each other. Those of others never come between them.
    for (one, id), (other, other_id) in itertools.pairwise(owners):
        if id != other_id and one.overlaps(other):
            raise Conflict(f"subnets {one} and {other} overlap")


def check_subnet(subnet: IPv4Network) -> None:
    """Raise Invalid for a block that cannot be a subnet."""
    if not MIN_PREFIX <= subnet.prefixlen <= MAX_PREFIX:
        raise Invalid(f"{subnet} is no block of /{MIN_PREFIX} to /{MAX_PREFIX}")
    if any(subnet.overlaps(reserved) for reserved in RESERVED):
        raise Invalid(f"{subnet} lies in a reserved block")


def _check_firewalls(plan: Plan) -> None:
    known = {firewall.id for firewall in plan.firewalls}
    for firewall in plan.firewalls:
        _check_id(firewall.id)
        for opening in firewall.openings:
            _check_ports(opening.port_from, opening.port_to)
            if opening.port_from > opening.port_to:
                raise Invalid(f"ports {opening.port_from} to {opening.port_to} are none")
            for number in (opening.icmp_type, opening.icmp_code):
                if number is not None and not 0 <= number <= MAX_ICMP:
                    raise Invalid(f"{number} is no type or code of ICMP")
            _check_known("firewall", opening.firewall_ids, known)


def _check_card(card: Card, plan: Plan) -> None:
    _check_id(card.guest_id)
    if card.slot != FIRST_SLOT and card.slot not in LATER_SLOTS:
        raise Invalid(f"slot {card.slot} is not for network cards")
    if not MAC.fullmatch(card.mac):
        raise Invalid(f"{card.mac!r} is no locally administered hardware address")
    for name in card.names:
        if not LABEL.fullmatch(name):
            raise Invalid(f"{name!r} is no host name")
    _check_known("firewall", card.firewall_ids, {firewall.id for firewall in plan.firewalls})
    network = next((n for n in plan.networks if n.id == card.network_id), None)
    if network is None:
        raise Invalid(f"there is no network {card.network_id}")
    subnet = next((s for s in network.subnets if card.ip in s), None)
    if subnet is None or not is_usable(card.ip, subnet):
        raise Invalid(f"{card.ip} is no address for a guest in network {network.id}")


def is_usable(ip: IPv4Address, subnet: IPv4Network) -> bool:
    """Say whether a guest may have this address of a subnet."""
    return ip in subnet and ip not in {
        subnet.network_address,
        gateway(subnet),
        subnet.broadcast_address,
    }


def _check_id(id: str) -> None:
    if not ID.fullmatch(id):
        raise Invalid(f"{id!r} is no id")


def _check_ports(*ports: int) -> None:
    for port in ports:
        if not 1 <= port <= MAX_PORT:
            raise Invalid(f"{port} is no port")


def _check_known(what: str, ids: Iterable[str], known: set[str]) -> None:
    for id in ids:
        if id not in known:
            raise Invalid(f"there is no {what} {id}")
