"""Firewalls and their rules: what may be made, and what may go."""

from dataclasses import replace
from datetime import datetime

from nimbi.qemu.errors import Conflict, Invalid, NotFound
from nimbi.qemu.guests.spec import HTTP, MAX_NAME, SSH, printable
from nimbi.qemu.network.blocks import Block
from nimbi.qemu.network.records import (
    Firewall,
    Records,
    Rule,
    check_name,
    digits,
    identity,
    wish,
)

DEFAULT_ID = "fw-0000000000000000"
"""The firewall of guests that asked for none."""

PORTS = {"tcp": (0, 65535), "udp": (0, 65535), "icmp": (-1, 255)}
"""Least and greatest of the two numbers of a rule."""

ANY = -1
ANYWHERE = "0.0.0.0/0"
MAX_FIREWALLS = 500
MAX_RULES = 100
MAX_SOURCES = 50
MAX_BEFORE_A_GUEST = 16
PREFIX = "fw-"


def with_default(records: Records, at: datetime) -> Records:
    """Return the records with the firewall that is always there.

    It lets in all from guests behind itself, and ssh and web from anywhere.
    """
    if DEFAULT_ID in records.firewalls:
        return records
    rules = [
        *(("tcp", 1, 65535, DEFAULT_ID), ("udp", 1, 65535, DEFAULT_ID)),
        *(("icmp", ANY, ANY, DEFAULT_ID), ("tcp", SSH, SSH, ANYWHERE)),
        ("tcp", HTTP, HTTP, ANYWHERE),
    ]
    made = Firewall(
        id=DEFAULT_ID,
        name="default",
        created_at=at,
        wish="",
        description="All between its members; ssh and web from anywhere.",
        rules=tuple(
            Rule(
                id=f"rule-{number:016x}",
                protocol=protocol,
                first=first,
                last=last,
                sources=(source,),
            )
            for number, (protocol, first, last, source) in enumerate(rules, 1)
        ),
    )
    return records.having(made)


def add_firewall(
    records: Records, *, name: str, description: str, token: str | None, at: datetime
) -> tuple[Records, Firewall]:
    """Return the records with a new firewall, which lets nothing in, and the firewall itself.

    Raises Invalid, and Conflict for a name in use.
    """
    id, asked = identity(Firewall, token), wish(name, description)
    if made := records.made_before(Firewall, id, asked):
        return records, made
    check_name(name, "firewall")
    if len(description) > MAX_NAME or not printable(description):
        raise Invalid(f"a firewall's description has up to {MAX_NAME} printable characters")
    if any(other.name == name for other in records.firewalls.values()):
        raise Conflict(f"there is a firewall named {name!r} already")
    if len(records.firewalls) >= MAX_FIREWALLS:
        raise Conflict(f"there are {MAX_FIREWALLS} firewalls already")
    made = Firewall(id=id, name=name, created_at=at, wish=asked, description=description, rules=())
    return records.having(made), made


def remove_firewall(records: Records, id: str) -> Records:
    """Return the records without a firewall.

    Raises NotFound, and Conflict while a guest is behind it or a rule of another one names it.
    """
    firewall = records.find(Firewall, id)
    if id == DEFAULT_ID:
        raise Conflict("the default firewall stays")
    if any(id in card.firewall_ids for card in records.cards.values()):
        raise Conflict(f"instances are behind the firewall {id!r}")
    others = records.without(firewall)
    if any(id in rule.sources for other in others.firewalls.values() for rule in other.rules):
        raise Conflict(f"rules of other firewalls name the firewall {id!r}")
    return others


def add_rule(
    records: Records,
    id: str,
    *,
    protocol: str,
    first: int,
    last: int,
    sources: tuple[str, ...],
    token: str | None,
) -> tuple[Records, Firewall]:
    """Return the records with one more rule of a firewall, and the firewall itself.

    A source is a block of addresses, or the id of a firewall. Raises NotFound for the firewall,
    Invalid, and Conflict for a rule that it has already.
    """
    firewall = records.find(Firewall, id)
    rule = Rule(
        # Two firewalls may be given rules with one token.
        id=f"rule-{digits(id + identity(Firewall, token))}",
        protocol=protocol,
        first=first,
        last=last,
        sources=_checked_sources(records, sources),
    )
    _check_numbers(rule)
    if rule in firewall.rules:
        return records, firewall
    if any(other.id == rule.id for other in firewall.rules):
        raise Conflict("the token was used before, for another rule")
    if any(_meaning(other) == _meaning(rule) for other in firewall.rules):
        raise Conflict(f"the firewall {id!r} has this rule already")
    if len(firewall.rules) >= MAX_RULES:
        raise Conflict(f"the firewall {id!r} has {MAX_RULES} rules already")
    changed = replace(firewall, rules=(*firewall.rules, rule))
    return records.having(changed), changed


def remove_rule(records: Records, id: str, rule_id: str) -> Records:
    """Return the records without one rule of a firewall. Raises NotFound."""
    firewall = records.find(Firewall, id)
    rest = tuple(rule for rule in firewall.rules if rule.id != rule_id)
    if len(rest) == len(firewall.rules):
        raise NotFound(f"the firewall {id!r} has no rule {rule_id!r}")
    return records.having(replace(firewall, rules=rest))


def _meaning(rule: Rule) -> tuple[object, ...]:
    return rule.protocol, rule.first, rule.last, frozenset(rule.sources)


def _check_numbers(rule: Rule) -> None:
    if rule.protocol not in PORTS:
        raise Invalid(f"the protocol {rule.protocol!r} is none of {', '.join(PORTS)}")
    least, most = PORTS[rule.protocol]
    for number in (rule.first, rule.last):
        if not least <= number <= most:
            raise Invalid(f"the numbers of {rule.protocol} are {least} to {most}, not {number}")
    if rule.protocol == "icmp":
        if rule.first == ANY and rule.last != ANY:
            raise Invalid(f"a code of ICMP, {rule.last}, is of one type only")
    elif rule.first > rule.last:
        raise Invalid(f"the ports {rule.first} to {rule.last} are none")


def _checked_sources(records: Records, sources: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(sources) <= MAX_SOURCES:
        raise Invalid(f"a rule has 1 to {MAX_SOURCES} sources")
    return tuple(dict.fromkeys(_checked_source(records, source) for source in sources))


def _checked_source(records: Records, source: str) -> str:
    if source.startswith(PREFIX):
        if source not in records.firewalls:
            raise Invalid(f"there is no firewall {source!r} that could be a source")
        return source
    try:
        return str(Block(source, strict=False))
    except ValueError:
        raise Invalid(f"the source {source[:50]!r} is no block of IPv4 addresses") from None
