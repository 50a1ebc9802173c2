"""What is metered of a thing, as its JSON in events and in the inventory tells it."""

import hashlib
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from nimbi.store.moments import stored_or_none

MIB_PER_GIB = 1024

# States in which an instance has the cloud's processors, and those in which only its disk is kept.
# Before its first start and after an error it is neither.
RUNNING = frozenset({"running", "paused", "stopping"})
STOPPED = frozenset({"stopped"})
# What was never finished is not used.
UNUSABLE = frozenset({"pending", "error"})


class Facts(NamedTuple):
    """How a thing is used: all that says what it costs.

    `amount` is 1 of an instance or address, MiB (begun ones count) of what has a size. `tags` are
    JSON with sorted names.
    """

    state: str
    kind: str
    realm: str
    amount: int
    vcpus: int = 0
    memory_mib: int = 0
    tags: bytes = b"{}"


class Sizes(msgspec.Struct, frozen=True):
    """What an instance has otherwise than its profile."""

    cpus: float | None = None
    memory_mib: float | None = None


class Body(msgspec.Struct):
    """What is read of a thing's JSON; a kind of thing has some of these."""

    name: str | None = None
    state: str | None = None
    realm_id: str | None = None
    hardware_profile_id: str | None = None
    kind: str | None = None
    size_gib: float | None = None
    instance_id: str | None = None
    created_at: datetime | None = None
    sizes: Sizes = Sizes()
    tags: dict[str, str] = {}


class Default(msgspec.Struct):
    """A property of a profile, as far as it is what an instance gets unasked."""

    default: float | str = 0


class Profile(msgspec.Struct):
    """What is read of a hardware profile's JSON."""

    cpus: Default | None = None
    memory_mib: Default | None = None


class Capacity(NamedTuple):
    """What a hardware profile gives when nothing else is asked for; 0 where it does not tell."""

    vcpus: int = 0
    memory_mib: int = 0


Capacities = Mapping[str, Capacity]

BODY = msgspec.json.Decoder(Body)
PROFILE = msgspec.json.Decoder(Profile)
_encode = msgspec.json.Encoder(order="sorted").encode


class Seen(NamedTuple):
    """A thing's name, when it was made as far as is known, and how it is used; None: it is not."""

    name: str
    created_us: int | None
    facts: Facts | None


def seen(collection: str, body: bytes, capacities: Capacities) -> Seen:
    """Return what is metered of a thing. What its cloud tells in another form is not in use."""
    try:
        told = BODY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Seen("", None, None)
    aware = told.created_at if told.created_at and told.created_at.tzinfo else None
    facts = METERED[collection](told, capacities)
    return Seen(told.name or "", stored_or_none(aware), facts)


def capacity(body: bytes) -> Capacity:
    """Return what a hardware profile gives."""
    try:
        told = PROFILE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Capacity()
    return Capacity(_whole(told.cpus), _whole(told.memory_mib))


def series_digest(tenant: str, path: str, account: str, collection: str, facts: Facts) -> bytes:
    """Return what is the same for all that is used in one way by one tenant."""
    words = (tenant, path, account, collection, facts.state, facts.kind, facts.realm)
    numbers = f"{facts.vcpus} {facts.memory_mib}"
    told = "\0".join((*words, numbers)).encode("utf-8", "replace") + b"\0" + facts.tags
    return hashlib.blake2b(told, digest_size=16).digest()


def _instance(told: Body, capacities: Capacities) -> Facts | None:
    state = told.state or ""
    if state not in RUNNING and state not in STOPPED:
        return None
    kind = told.hardware_profile_id or ""
    usual = capacities.get(kind, Capacity())
    return Facts(
        state="running" if state in RUNNING else "stopped",
        kind=kind,
        realm=told.realm_id or "",
        amount=1,
        vcpus=_up(told.sizes.cpus) or usual.vcpus,
        memory_mib=_up(told.sizes.memory_mib) or usual.memory_mib,
        tags=_encode(told.tags),
    )


def _disk(told: Body, _capacities: Capacities) -> Facts | None:
    if told.state in UNUSABLE:
        return None
    size_mib = _up((told.size_gib or 0) * MIB_PER_GIB)
    return Facts("", told.kind or "", told.realm_id or "", size_mib, tags=_encode(told.tags))


def _address(told: Body, _capacities: Capacities) -> Facts:
    # Some clouds charge for those that point nowhere, and some for all.
    return Facts("", "attached" if told.instance_id else "free", "", 1, tags=_encode(told.tags))


# The collections of the inventory whose things are metered.
METERED: Mapping[str, Callable[[Body, Capacities], Facts | None]] = {
    "instances": _instance,
    "volumes": _disk,
    "snapshots": _disk,
    "addresses": _address,
}
# What is measured of things now and then. Blobs are there until measured anew; traffic has passed,
# and its bytes count in one second.
BLOBS, TRAFFIC_IN, TRAFFIC_OUT = "blobs", "traffic_in", "traffic_out"
PASSING = frozenset({TRAFFIC_IN, TRAFFIC_OUT})


def _whole(told: Default | None) -> int:
    value: Any = 0 if told is None else told.default
    return 0 if isinstance(value, str) else _up(value)


def _up(value: float | None) -> int:
    return math.ceil(value) if value and math.isfinite(value) and 0 < value < 2**40 else 0
