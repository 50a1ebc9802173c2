"""The packet filter as one text, made from a plan: applied by `nft -f` it is there whole or not."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, collapse_addresses

from nimbi.qemu.network.plan import (
    LOCAL,
    METADATA,
    Card,
    Opening,
    Plan,
    PlannedFirewall,
    Protocol,
    short,
)

TABLE = "nimbi"
UPLINK = "uplink"
"""The device that leads outside, when there is one."""

RESOLVER = "169.254.1.1"
"""Where DNS questions about the outside go: the uplink hands them to this machine's resolver."""

DNS, DNS_INSIDE = 53, 5354
"""The second port is for guests that may not go outside, whose names would else go there."""

MARK = 0x6E626900
"""Set by the gate on connections for clients that are not of this machine, whom it has checked."""

NEVER_OUTSIDE = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")
"""What no guest can reach through the uplink, beside the addresses of this machine itself."""


def ruleset(plan: Plan, own: Iterable[str] = ()) -> str:
    """Return the text that replaces all of our tables as one transaction.

    `own` are addresses of this machine, which guests cannot reach. The plan has been checked.
    """
    return "\n".join([*_inet(plan, sorted(own)), *_bridge(plan), ""])


def _table(family: str) -> Iterator[str]:
    # Added first, so that removing it never fails.
    yield f"add table {family} {TABLE}"
    yield f"delete table {family} {TABLE}"
    yield f"table {family} {TABLE} {{"


def _inet(plan: Plan, own: list[str]) -> Iterator[str]:
    """Yield the routed part: who may connect to whom. It knows connections, so answers pass."""
    yield from _table("inet")
    yield from _sets(plan, own)
    for firewall in plan.firewalls:
        yield from _chain(f"f_{firewall.key}", _openings(firewall))
        yield from _chain(f"l_{firewall.key}", _local_openings(firewall))
    for card in plan.cards:
        keys = [firewall.key for firewall in plan.firewalls if firewall.id in card.firewall_ids]
        yield from _chain(f"in_{card.tap}", (f"jump f_{key}" for key in keys))
        yield from _chain(f"lo_{card.tap}", (f"jump l_{key}" for key in keys))
    yield from _map("inward", ((card, f"jump in_{card.tap}") for card in plan.cards))
    yield from _map("local", ((card, f"jump lo_{card.tap}") for card in plan.cards))
    yield from _chain(
        "forward",
        (
            "type filter hook forward priority filter; policy drop;",
            "ct state invalid drop",
            "ct state established,related accept",
            f'iifname @bridges oifname "{UPLINK}" ip saddr @outgoing ip daddr != @own accept',
            "iifname . oifname @same ip daddr vmap @inward",
        ),
    )
    yield from _chain(
        "input",
        (
            "type filter hook input priority filter; policy drop;",
            'iifname "lo" accept',
            "ct state invalid drop",
            "ct state established,related accept",
            "iifname @bridges udp sport 68 udp dport 67 accept",
            f"iifname . ip daddr @gateways udp dport {{ {DNS}, {DNS_INSIDE} }} accept",
            "iifname . ip daddr @gateways icmp type echo-request accept",
            f"iifname @bridges ip daddr {METADATA} tcp dport 80 accept",
        ),
    )
    yield from _chain(
        "output",
        (
            "type filter hook output priority filter; policy drop;",
            'oifname "lo" accept',
            "ct state established,related accept",
            f'oifname "{UPLINK}" ip daddr {RESOLVER} udp dport 53 accept',
            "oifname @bridges udp sport 67 udp dport 68 accept",
            "oifname @bridges ip daddr vmap @local",
        ),
    )
    yield from _chain(
        "prerouting",
        (
            "type nat hook prerouting priority dstnat; policy accept;",
            f"iifname @bridges ip saddr != @outgoing udp dport {DNS} redirect to :{DNS_INSIDE}",
        ),
    )
    yield from _chain(
        "postrouting",
        (
            "type nat hook postrouting priority srcnat; policy accept;",
            f'oifname "{UPLINK}" masquerade',
        ),
    )
    yield "}"


def _sets(plan: Plan, own: list[str]) -> Iterator[str]:
    bridges = [network.bridge for network in plan.networks]
    gateways = [
        f'"{network.bridge}" . {gateway}'
        for network in plan.networks
        for gateway in dict.fromkeys(network.gateways)
    ]
    yield from _set("bridges", "ifname", (f'"{bridge}"' for bridge in bridges))
    yield from _set("same", "ifname . ifname", (f'"{b}" . "{b}"' for b in bridges))
    yield from _set("gateways", "ifname . ipv4_addr", gateways)
    yield from _set("outgoing", "ipv4_addr", (str(c.ip) for c in plan.cards if c.outgoing))
    yield from _set("own", "ipv4_addr; flags interval; auto-merge", [*NEVER_OUTSIDE, *own])
    for firewall in plan.firewalls:
        members = (str(card.ip) for card in plan.cards if firewall.id in card.firewall_ids)
        yield from _set(f"m_{firewall.key}", "ipv4_addr", members)


def _set(name: str, kind: str, elements: Iterable[str]) -> Iterator[str]:
    inside = ", ".join(elements)
    yield f" set {name} {{ type {kind};{f' elements = {{ {inside} }};' if inside else ''} }}"


def _map(name: str, entries: Iterable[tuple[Card, str]]) -> Iterator[str]:
    inside = ", ".join(f"{card.ip} : {verdict}" for card, verdict in entries)
    elements = f" elements = {{ {inside} }};" if inside else ""
    yield f" map {name} {{ type ipv4_addr : verdict;{elements} }}"


def _chain(name: str, rules: Iterable[str]) -> Iterator[str]:
    yield f" chain {name} {{"
    yield from (f"  {rule}" for rule in rules)
    yield " }"


def _openings(firewall: PlannedFirewall) -> Iterator[str]:
    """Yield what lets in traffic of other guests."""
    for opening in firewall.openings:
        sources = [f"ip saddr @m_{short(id)}" for id in opening.firewall_ids]
        if opening.blocks:
            sources.append(f"ip saddr {{ {', '.join(_merged(opening.blocks))} }}")
        for source in sources:
            yield f"{source} {_what(opening)} accept"


def _merged(blocks: Iterable[IPv4Network]) -> list[str]:
    # A set of intervals refuses those that overlap.
    return [str(block) for block in collapse_addresses(blocks)]


def _local_openings(firewall: PlannedFirewall) -> Iterator[str]:
    """Yield what lets in programs of this machine, and the gate for clients that it has checked."""
    for opening in firewall.openings:
        # The gate asks the plan itself whom it lets in, so this opens nothing to its clients.
        if opening.balanced or any(LOCAL in block for block in opening.blocks):
            yield f"{_what(opening)} accept"
        elif opening.blocks:
            yield f"meta mark {MARK:#x} {_what(opening)} accept"


def _what(opening: Opening) -> str:
    if opening.protocol is not Protocol.ICMP:
        return f"{opening.protocol.value} dport {opening.port_from}-{opening.port_to}"
    if opening.icmp_type is None:
        return "meta l4proto icmp"
    code = "" if opening.icmp_code is None else f" icmp code {opening.icmp_code}"
    return f"icmp type {opening.icmp_type}{code}"


def _bridge(plan: Plan) -> Iterator[str]:
    """Yield what stands behind each tap: a guest speaks as itself only, or not at all."""
    yield from _table("bridge")
    for card in plan.cards:
        yield from _chain(f"as_{card.tap}", _as_itself(card))
    verdicts = ", ".join(f'"{card.tap}" : goto as_{card.tap}' for card in plan.cards)
    yield from _chain(
        "prerouting",
        (
            "type filter hook prerouting priority dstnat; policy drop;",
            *([f"iifname vmap {{ {verdicts} }}"] if verdicts else []),
        ),
    )
    yield "}"


def _as_itself(card: Card) -> Iterator[str]:
    mac = card.mac
    arp = f"ether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp saddr ether {mac}"
    # The client's hardware address in a DHCP message, 28 octets behind the UDP header.
    lies = f"udp dport 67 @th,288,48 != 0x{mac.replace(':', '')}"
    yield f"ether saddr != {mac} drop"
    yield f"{arp} arp operation {{ request, reply }} arp saddr ip {card.ip} accept"
    yield f"{arp} arp operation request arp saddr ip 0.0.0.0 accept"
    yield "ether type != ip drop"
    # In fragments that address could come where it is not looked for.
    yield "udp dport 67 ip frag-off & 0x3fff != 0 drop"
    yield f"{lies} drop"
    yield f"ip saddr {card.ip} accept"
    yield "ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept"
    yield "drop"
