"""What is written down about networks: one value, kept in a directory as a file a thing."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from nimbi.qemu.errors import Conflict, Invalid, NotFound
from nimbi.qemu.guests.spec import MAX_NAME, MAX_TOKEN, printable
from nimbi.qemu.host.files import private_directory, sync_directory, write_json
from nimbi.qemu.network.plan import FIRST_SLOT


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Anything kept here."""

    id: str


@dataclass(frozen=True, kw_only=True)
class Made(Kept):
    """What somebody asked for. `wish` is equal for equal requests: a token is good for one."""

    name: str | None
    created_at: datetime
    wish: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Running(Kept):
    """A guest that runs, or is about to; `id` is the guest's.

    `ports` is {port of the guest: port of the host}, `metadata` the file that tells it of itself.
    """

    host_name: str
    ports: Mapping[int, int]
    outgoing: bool
    metadata: str | None = None


@dataclass(frozen=True, kw_only=True)
class NetworkRecord(Made):
    """A network. `block` is all of its addresses: "10.83.0.0/16"."""

    block: str


@dataclass(frozen=True, kw_only=True)
class Subnet(Made):
    """A part of a network, from which cards have their addresses."""

    network_id: str
    block: str


@dataclass(frozen=True, kw_only=True)
class Card(Made):
    """A network card of a guest, at a PCI slot. Its address is its own as long as it is there.

    Further cards are `joining` until they are known to be in a running guest, and `leaving` from
    the wish to remove them on. `firewall_ids` are the guest's, kept at its first card.
    """

    guest_id: str
    network_id: str
    subnet_id: str | None
    ip: str
    mac: str
    slot: int
    firewall_ids: tuple[str, ...] = ()
    joining: bool = False
    leaving: bool = False

    @property
    def first(self) -> bool:
        """Whether the guest was made with it."""
        return self.slot == FIRST_SLOT


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Lets traffic in. A source is a block, "10.0.0.0/8", or the id of another firewall.

    `protocol` is tcp, udp or icmp; `first` and `last` are ports, or ICMP's type and code, of which
    -1 is any.
    """

    id: str
    protocol: str
    first: int
    last: int
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Firewall(Made):
    """A set of rules in front of guests; what none of a guest's firewalls lets in stays out."""

    description: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, kw_only=True)
class Address(Made):
    """A held address of this host, and the guest at which it points."""

    ip: str
    guest_id: str | None


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Connections to `port` of the balancer go to `guest_port` of a member. `http` or `tcp`.

    `inner_port` is where HAProxy listens for it on loopback, when guests are on a fabric.
    """

    protocol: str
    port: int
    guest_port: int
    inner_port: int


@dataclass(frozen=True, kw_only=True)
class Balancer(Made):
    """One address of this host in front of several guests."""

    ip: str
    listeners: tuple[Listener, ...]
    guest_ids: tuple[str, ...]


K = TypeVar("K", bound=Kept)
M = TypeVar("M", bound=Made)

KINDS: dict[str, type[Kept]] = {
    "running": Running,
    "networks": NetworkRecord,
    "subnets": Subnet,
    "cards": Card,
    "firewalls": Firewall,
    "addresses": Address,
    "balancers": Balancer,
}
WORDS: dict[type[Kept], str] = {
    Running: "running guest",
    NetworkRecord: "network",
    Subnet: "subnet",
    Card: "network interface",
    Firewall: "firewall",
    Address: "address",
    Balancer: "load balancer",
}
PREFIXES: dict[type[Kept], str] = {
    NetworkRecord: "net",
    Subnet: "sub",
    Card: "eni",
    Firewall: "fw",
    Address: "adr",
    Balancer: "lb",
}
FILE = re.compile(r"(?:i|net|sub|eni|fw|adr|lb)-[0-9a-f]{16}\.json")


@dataclass(frozen=True)
class Records:
    """All that is written down, by kind and id. Never changed: a change makes another one."""

    running: Mapping[str, Running] = field(default_factory=dict)
    networks: Mapping[str, NetworkRecord] = field(default_factory=dict)
    subnets: Mapping[str, Subnet] = field(default_factory=dict)
    cards: Mapping[str, Card] = field(default_factory=dict)
    firewalls: Mapping[str, Firewall] = field(default_factory=dict)
    addresses: Mapping[str, Address] = field(default_factory=dict)
    balancers: Mapping[str, Balancer] = field(default_factory=dict)

    def of(self, kind: type[K]) -> Mapping[str, K]:
        """Return all things of one kind, by id."""
        found: Mapping[str, K] = getattr(self, _PLACES[kind])
        return found

    def find(self, kind: type[K], id: str) -> K:
        """Return one thing. Raises NotFound."""
        found = self.of(kind).get(id)
        if found is None:
            raise NotFound(f"there is no {WORDS[kind]} {id!r}")
        return found

    def having(self, *things: Kept) -> "Records":
        """Return the records with these things, in place of those with the same ids."""
        changed = self
        for thing in things:
            place = _PLACES[type(thing)]
            changed = replace(changed, **{place: {**getattr(changed, place), thing.id: thing}})
        return changed

    def without(self, *things: Kept) -> "Records":
        """Return the records without these things."""
        changed = self
        for thing in things:
            place = _PLACES[type(thing)]
            rest = {id: t for id, t in getattr(changed, place).items() if id != thing.id}
            changed = replace(changed, **{place: rest})
        return changed

    def made_before(self, kind: type[M], id: str, wish: str) -> M | None:
        """Return what the same request has made already. Raises Conflict when it was another."""
        found = self.of(kind).get(id)
        if found is not None and found.wish != wish:
            raise Conflict(f"the token was used before, for another {WORDS[kind]}")
        return found


_PLACES: dict[type[Kept], str] = {kind: place for place, kind in KINDS.items()}


def identity(kind: type[Made], token: str | None) -> str:
    """Return the id that belongs to a token, or a new one. Raises Invalid for a bad token."""
    if token is None:
        return f"{PREFIXES[kind]}-{secrets.token_hex(8)}"
    if not 0 < len(token) <= MAX_TOKEN:
        raise Invalid(f"token has {len(token)} characters, not 1 to {MAX_TOKEN}")
    return f"{PREFIXES[kind]}-{digits(token)}"


def digits(text: str) -> str:
    """Return 16 hexadecimal digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def wish(*asked: Any) -> str:
    """Return what is equal for equal requests only."""
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def check_name(name: str, what: str) -> str:
    """Return the name of a thing. Raises Invalid unless it is text that can be shown."""
    if not 0 < len(name) <= MAX_NAME or not printable(name):
        raise Invalid(f"the name of a {what} has 1 to {MAX_NAME} printable characters")
    return name


class RecordStore:
    """A directory with the records. Written by whoever holds the lock of the network."""

    def __init__(self, root: Path) -> None:
        """Keep records below `root`, made when it does not exist."""
        self._root = private_directory(root)
        for place in KINDS:
            private_directory(self._root / place)

    def read(self, *, raw: bool = False) -> Records:
        """Return the records; unless `raw`, without what a change that was cut short has left."""
        found = Records(**{place: self._read(place) for place in KINDS})
        return found if raw else mended(found)

    def _read(self, place: str) -> Mapping[str, Any]:
        found = {}
        for path in sorted((self._root / place).iterdir()):
            if FILE.fullmatch(path.name):
                try:
                    found[path.stem] = _decoded(KINDS[place], json.loads(path.read_bytes()))
                except FileNotFoundError:
                    # Removed meanwhile: it is not there.
                    continue
        return found

    def write(self, old: Records, new: Records) -> None:
        """Bring the files from one state to another: what is new first, then what goes.

        Each file is replaced or removed as one step; a crash between two leaves what `mended`
        puts right.
        """
        for place in KINDS:
            before, after = getattr(old, place), getattr(new, place)
            for id, thing in after.items():
                if before.get(id) != thing:
                    write_json(self._root / place / f"{id}.json", _encoded(thing))
        for place in reversed(KINDS):
            gone = getattr(old, place).keys() - getattr(new, place).keys()
            for id in gone:
                (self._root / place / f"{id}.json").unlink(missing_ok=True)
            if gone:
                sync_directory(self._root / place)


def mended(records: Records) -> Records:
    """Return the records without references to what is not there."""
    networks = records.networks
    subnets = {id: s for id, s in records.subnets.items() if s.network_id in networks}
    cards = {
        id: c
        for id, c in records.cards.items()
        if c.network_id in networks and (c.subnet_id is None or c.subnet_id in subnets)
    }
    return replace(records, subnets=subnets, cards=cards)


def _encoded(thing: Kept) -> dict[str, Any]:
    made = asdict(thing)
    if isinstance(thing, Made):
        made["created_at"] = thing.created_at.isoformat()
    return made


def _decoded(kind: type[Kept], kept: dict[str, Any]) -> Kept:
    known = {each.name for each in fields(kind)}
    return kind(**{name: _value(name, value) for name, value in kept.items() if name in known})


def _value(name: str, value: Any) -> Any:
    decode = DECODERS.get(name)
    if decode is not None:
        return decode(value)
    return tuple(value) if isinstance(value, list) else value


def _rule(kept: dict[str, Any]) -> Rule:
    return Rule(**{**kept, "sources": tuple(kept["sources"])})


DECODERS: dict[str, Callable[[Any], Any]] = {
    "created_at": datetime.fromisoformat,
    "ports": lambda kept: {int(inside): outside for inside, outside in kept.items()},
    "rules": lambda kept: tuple(map(_rule, kept)),
    "listeners": lambda kept: tuple(Listener(**each) for each in kept),
}
"""What JSON has no words for, by the names of fields."""
