"""What is known of the things in all accounts: the things, their changes, and orphans."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """One thing of one account, as the inventory keeps it.

    The fields before `body` are those by which lists are filtered and sorted; None where this kind
    of thing has no such field. `body` is the JSON of the whole, with a member `account`.
    `made_here` says that Nimbi made it.
    """

    account: str
    collection: str
    id: str
    name: str | None = None
    state: str | None = None
    realm_id: str | None = None
    image_id: str | None = None
    hardware_profile_id: str | None = None
    created_at: datetime | None = None
    made_here: bool = False
    body: bytes


class EventKind(StrEnum):
    """What happened to a thing; an account's health is told as `changed` of `accounts`."""

    APPEARED = "appeared"
    CHANGED = "changed"
    VANISHED = "vanished"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change, as it was seen. `id` grows; who has seen one has seen all before it.

    `body` is the thing's JSON after the change; None for one that vanished.
    """

    id: int
    at: datetime
    account: str
    collection: str
    thing_id: str
    kind: EventKind
    state: str | None = None
    body: msgspec.Raw | None = None


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that Nimbi made, or may have made, and that nobody owns.

    `reason` is for people: the request that made it has ended without an answer, for example.
    """

    account: str
    collection: str
    id: str
    name: str | None
    reason: str
    seen_at: datetime
