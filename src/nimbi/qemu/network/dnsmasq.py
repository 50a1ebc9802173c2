"""DHCP and DNS of one network: the texts that dnsmasq reads, made from a plan."""

from enum import StrEnum
from pathlib import Path

from nimbi.qemu.errors import Invalid
from nimbi.qemu.network.nft import DNS, DNS_INSIDE, RESOLVER
from nimbi.qemu.network.plan import FIRST_SLOT, Card, Plan, PlannedNetwork

LEASE = "1h"
FIXED = (
    # Its own change of user fails in a namespace of users. It is started with few rights instead.
    # Questions over TCP it would then answer one by one: the packet filter lets none through.
    "no-daemon",
    "bind-interfaces",
    "except-interface=lo",
    "no-resolv",
    "no-hosts",
    "no-poll",
    "no-ping",
    "domain-needed",
    "dhcp-authoritative",
    "dhcp-ignore=tag:!known",
    "leasefile-ro",
    "quiet-dhcp",
    "edns-packet-max=1232",
    "cache-size=1000",
    # A second default route would only compete with that of the first card.
    "dhcp-option=tag:later,option:router",
)
"""What is the same for all networks. Guests have fixed addresses, so no lease needs to be kept."""


class Kind(StrEnum):
    """What one dnsmasq of a network is for.

    MAIN gives addresses, and names for guests that may go outside; INSIDE gives the others names,
    those of their network only.
    """

    MAIN = "main"
    INSIDE = "inside"


def kinds(plan: Plan, network: PlannedNetwork) -> tuple[Kind, ...]:
    """Return which of them a network needs."""
    shut = any(not card.outgoing for card in plan.cards_of(network.id))
    return (Kind.MAIN, Kind.INSIDE) if shut else (Kind.MAIN,)


def port(kind: Kind) -> int:
    """Return the port where one answers questions about names."""
    return DNS if kind is Kind.MAIN else DNS_INSIDE


def config(plan: Plan, network: PlannedNetwork, names: Path, kind: Kind, *, outside: bool) -> str:
    """Return the configuration of one dnsmasq of a network: who gets which address, among others.

    `names` is the file for `names()`. With `outside`, a MAIN one asks there for names that are
    not the network's own.
    """
    lines = [*FIXED, f"interface={network.bridge}", f"port={port(kind)}"]
    lines += [f"domain={network.domain}", f"local=/{network.domain}/"]
    lines += [f"addn-hosts={_quoted(names)}"]
    if kind is Kind.MAIN:
        blocks = network.subnets
        lines += [f"dhcp-range={s.network_address},static,{s.netmask},{LEASE}" for s in blocks]
        lines += [f"dhcp-host={_host(card)}" for card in plan.cards_of(network.id)]
        lines += [f"server={RESOLVER}"] if outside else []
    return "\n".join(lines) + "\n"


def _host(card: Card) -> str:
    later = "" if card.slot == FIRST_SLOT else "set:later,"
    name = f",{card.names[0]}" if card.names else ""
    return f"{card.mac},{later}{card.ip}{name}"


def names(plan: Plan, network: PlannedNetwork) -> str:
    """Return the names of all cards, as in /etc/hosts."""
    lines = []
    for card in plan.cards_of(network.id):
        full = [f"{name}.{network.domain}" for name in card.names]
        lines += [f"{card.ip} {' '.join([*full, *card.names])}\n"] if full else []
    return "".join(lines)


def _quoted(path: Path) -> str:
    # Inside of quotes dnsmasq reads a backslash as the start of a special character.
    text = str(path)
    if "\n" in text:
        raise Invalid("a state directory whose path has a line break cannot have networks")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
