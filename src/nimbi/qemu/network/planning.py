"""From what is written down about networks, and the guests that run, to the plan of the fabric."""

from collections.abc import Collection, Iterator
from ipaddress import IPv4Address
from pathlib import Path

from nimbi.qemu.network import plan
from nimbi.qemu.network.blocks import Block
from nimbi.qemu.network.firewalls import ANY, PREFIX
from nimbi.qemu.network.interfaces import firewalls_of
from nimbi.qemu.network.networks import subnets_of
from nimbi.qemu.network.plan import Opening, Plan, PlannedFirewall, PlannedNetwork, Publication
from nimbi.qemu.network.records import Balancer, Card, Records, Rule, Running


def of_fabric(records: Records) -> Plan:
    """Return the plan for guests whose cards are on the fabric.

    Only what running guests use is in it: no network without cards, no firewall that nobody is
    behind. Equal records give an equal plan, in whatever order they come.
    """
    cards = [card for _, card in sorted(records.cards.items()) if card.guest_id in records.running]
    return Plan(
        networks=tuple(_networks(records, cards)),
        firewalls=(*_walls(records, cards), *(_admission(b) for b in _balancers(records))),
        cards=tuple(planned(records, card) for card in cards),
        publications=tuple(_publications(records)),
    )


def of_user(records: Records) -> Plan:
    """Return the plan for guests with a network of their own each: their held addresses only."""
    return Plan(
        publications=tuple(
            Publication(address=IPv4Address(ip), port=inside, to=plan.LOCAL, to_port=outside)
            for guest, ip in _pointed_at(records)
            for inside, outside in sorted(guest.ports.items())
        )
    )


def _networks(records: Records, cards: Collection[Card]) -> Iterator[PlannedNetwork]:
    for id in sorted({card.network_id for card in cards}):
        network = records.networks[id]
        used = {card.subnet_id for card in cards if card.network_id == id}
        blocks = [Block(s.block) for s in subnets_of(records, id) if s.id in used]
        if None in used:
            blocks.append(Block(network.block))
        yield PlannedNetwork(id=id, subnets=tuple(blocks))


def _walls(records: Records, cards: Collection[Card]) -> list[PlannedFirewall]:
    """Return the firewalls that somebody is behind."""
    used = {wall for card in cards for wall in firewalls_of(records, card.guest_id)}
    return [
        PlannedFirewall(
            id=firewall.id,
            openings=tuple(_opening(rule, used) for rule in firewall.rules if _opens(rule)),
        )
        for id, firewall in sorted(records.firewalls.items())
        if id in used
    ]


def _opens(rule: Rule) -> bool:
    # No program can listen on port 0.
    return rule.protocol == "icmp" or rule.last > 0


def _opening(rule: Rule, used: Collection[str]) -> Opening:
    # A firewall that nobody is behind is a source of nothing.
    firewall_ids = tuple(s for s in rule.sources if s.startswith(PREFIX) and s in used)
    blocks = tuple(Block(s) for s in rule.sources if not s.startswith(PREFIX))
    protocol = plan.Protocol(rule.protocol)
    if protocol is plan.Protocol.ICMP:
        return Opening(
            protocol=protocol,
            blocks=blocks,
            firewall_ids=firewall_ids,
            icmp_type=None if rule.first == ANY else rule.first,
            icmp_code=None if rule.last == ANY else rule.last,
        )
    return Opening(
        protocol=protocol,
        port_from=max(rule.first, 1),
        port_to=rule.last,
        blocks=blocks,
        firewall_ids=firewall_ids,
    )


def _admission(balancer: Balancer) -> PlannedFirewall:
    """Return what lets a balancer reach its members: HAProxy connects from the fabric itself."""
    ports = sorted({listener.guest_port for listener in balancer.listeners})
    openings = (
        Opening(protocol=plan.Protocol.TCP, port_from=port, port_to=port, balanced=True)
        for port in ports
    )
    return PlannedFirewall(id=balancer.id, openings=tuple(openings))


def planned(records: Records, card: Card) -> plan.Card:
    """Return a card of a running guest as the plan has it."""
    guest = records.running[card.guest_id]
    walls = firewalls_of(records, card.guest_id)
    if card.first:
        # Balancers reach their members by the first card.
        walls += tuple(b.id for b in _balancers(records) if card.guest_id in b.guest_ids)
    return plan.Card(
        guest_id=card.guest_id,
        slot=card.slot,
        network_id=card.network_id,
        mac=card.mac,
        ip=IPv4Address(card.ip),
        names=(guest.host_name,),
        firewall_ids=walls,
        outgoing=guest.outgoing,
        metadata=Path(guest.metadata) if card.first and guest.metadata else None,
    )


def _publications(records: Records) -> Iterator[Publication]:
    first = {c.guest_id: IPv4Address(c.ip) for c in records.cards.values() if c.first}
    for id, guest in sorted(records.running.items()):
        for inside, outside in sorted(guest.ports.items()) if id in first else ():
            yield Publication(address=plan.LOCAL, port=outside, to=first[id], to_port=inside)
    for guest, held in _pointed_at(records):
        for inside in sorted(guest.ports) if guest.id in first else ():
            to = first[guest.id]
            yield Publication(address=IPv4Address(held), port=inside, to=to, to_port=inside)
    for balancer in _balancers(records):
        for listener in balancer.listeners:
            yield Publication(
                address=IPv4Address(balancer.ip),
                port=listener.port,
                to=plan.LOCAL,
                to_port=listener.inner_port,
            )


def _pointed_at(records: Records) -> Iterator[tuple[Running, str]]:
    """Yield each running guest at which a held address points, with the address."""
    for _, address in sorted(records.addresses.items()):
        if guest := records.running.get(address.guest_id or ""):
            yield guest, address.ip


def _balancers(records: Records) -> list[Balancer]:
    return [balancer for _, balancer in sorted(records.balancers.items())]
