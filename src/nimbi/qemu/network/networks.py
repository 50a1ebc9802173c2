"""Networks and subnets: what may be made, and what may go."""

from collections.abc import Collection, Iterable
from datetime import datetime

from nimbi.qemu.errors import Conflict
from nimbi.qemu.network.blocks import (
    DEFAULT,
    Block,
    check_apart,
    check_network,
    check_subnet,
    free_network,
    parsed,
)
from nimbi.qemu.network.records import (
    Card,
    NetworkRecord,
    Records,
    Subnet,
    check_name,
    identity,
    wish,
)

DEFAULT_ID = "net-0000000000000000"
"""The network in which each guest has its first card."""

MAX_NETWORKS = 200
MAX_SUBNETS = 200


def with_default(records: Records, host: Collection[Block], at: datetime) -> Records:
    """Return the records with the network that is always there."""
    if DEFAULT_ID in records.networks:
        return records
    block = str(free_network([*_blocks(records), *host]))
    made = NetworkRecord(id=DEFAULT_ID, name="default", created_at=at, wish="", block=block)
    return records.having(made)


def add_network(
    records: Records,
    *,
    name: str | None,
    block: str | None,
    token: str | None,
    host: Collection[Block],
    at: datetime,
) -> tuple[Records, NetworkRecord]:
    """Return the records with a new network, and the network itself. Without a block one is chosen.

    `host` is what the block must keep away from. Raises Invalid, Conflict, Capacity.
    """
    id, asked = identity(NetworkRecord, token), wish(name, block)
    if made := records.made_before(NetworkRecord, id, asked):
        return records, made
    chosen = _chosen(records, block, host)
    if len(records.networks) >= MAX_NETWORKS:
        raise Conflict(f"there are {MAX_NETWORKS} networks already")
    made = NetworkRecord(
        id=id,
        name=None if name is None else check_name(name, "network"),
        created_at=at,
        wish=asked,
        block=str(chosen),
    )
    return records.having(made), made


def _chosen(records: Records, block: str | None, host: Collection[Block]) -> Block:
    others = _blocks(records)
    if block is None:
        # The default network may not be there yet, and keeps its place.
        return free_network([*others, *host, DEFAULT])
    chosen = parsed(block)
    check_network(chosen)
    check_apart(chosen, others, "which another network has")
    check_apart(chosen, host, "which this host has, or knows a way to")
    return chosen


def remove_network(records: Records, id: str) -> Records:
    """Return the records without a network and its subnets.

    Raises NotFound, and Conflict while a card is in it, and for the default one.
    """
    network = records.find(NetworkRecord, id)
    if id == DEFAULT_ID:
        raise Conflict("the default network stays")
    if cards_in(records, id):
        raise Conflict(f"network interfaces are in the network {id!r}")
    return records.without(network, *subnets_of(records, id))


def add_subnet(
    records: Records,
    *,
    network_id: str,
    block: str,
    name: str | None,
    token: str | None,
    at: datetime,
) -> tuple[Records, Subnet]:
    """Return the records with a new subnet, and the subnet itself.

    Raises NotFound for the network, Invalid, and Conflict when the block overlaps another's, or
    when cards are in the network outside of any subnet.
    """
    id, asked = identity(Subnet, token), wish(network_id, block, name)
    network = records.find(NetworkRecord, network_id)
    if made := records.made_before(Subnet, id, asked):
        return records, made
    chosen = parsed(block)
    check_subnet(chosen, Block(network.block))
    others = subnets_of(records, network_id)
    check_apart(chosen, (Block(subnet.block) for subnet in others), "which another subnet has")
    if any(card.subnet_id is None for card in cards_in(records, network_id)):
        raise Conflict(f"network interfaces are in {network_id!r} outside of any subnet")
    if len(others) >= MAX_SUBNETS:
        raise Conflict(f"there are {MAX_SUBNETS} subnets in {network_id!r} already")
    made = Subnet(
        id=id,
        name=None if name is None else check_name(name, "subnet"),
        created_at=at,
        wish=asked,
        network_id=network_id,
        block=str(chosen),
    )
    return records.having(made), made


def remove_subnet(records: Records, id: str) -> Records:
    """Return the records without a subnet. Raises NotFound, Conflict while a card is in it."""
    subnet = records.find(Subnet, id)
    if any(card.subnet_id == id for card in records.cards.values()):
        raise Conflict(f"network interfaces are in the subnet {id!r}")
    return records.without(subnet)


def subnets_of(records: Records, network_id: str) -> list[Subnet]:
    """Return the subnets of a network, by their addresses."""
    found = [s for s in records.subnets.values() if s.network_id == network_id]
    return sorted(found, key=lambda subnet: Block(subnet.block))


def cards_in(records: Records, network_id: str) -> list[Card]:
    """Return the cards in a network."""
    return [card for card in records.cards.values() if card.network_id == network_id]


def _blocks(records: Records) -> Iterable[Block]:
    return [Block(network.block) for network in records.networks.values()]
