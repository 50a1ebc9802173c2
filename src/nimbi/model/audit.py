"""The audit: who did what to what, from where, and with which result."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class Phase(StrEnum):
    """What an entry tells: that something begins, how it ended, or both at once."""

    BEGUN = "begun"
    ENDED = "ended"
    TOLD = "told"


# The result of what went well; other results are codes of errors.
OK = "ok"
# What has begun and not ended yet; it stays so when the process died meanwhile.
OPEN = "open"


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. Entries are numbered from 1 without gaps, and never change.

    `user` acted in `tenant`, by the login or token `token`; `name` is for people. `began` is the
    entry by which an `ended` one began. `result` is `ok`, the code of an error, or `open` for what
    has begun. `owners` are the tenants from the root to the one that the thing belongs to. `hash`
    is the SHA-256 over the entry and the `previous` one's hash, in hexadecimal.
    """

    seq: int
    at: datetime
    phase: Phase
    began: int | None = None
    user: str
    name: str
    token: str
    tenant: str
    owners: tuple[str, ...]
    operation: str
    account: str | None = None
    thing: str | None = None
    result: str
    request_id: str | None = None
    address: str | None = None
    details: dict[str, Any] = {}
    previous: str
    hash: str


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are wanted; None is any.

    `operation` may end in `.*`. `below` are tenants from the root to the one whose entries, and
    those of the tenants below it, are wanted. Unless `all_phases`, what has begun is left out where
    its end is known. `since` is included, `until` is not.
    """

    user: str | None = None
    tenant: str | None = None
    account: str | None = None
    operation: str | None = None
    thing: str | None = None
    result: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    below: tuple[str, ...] = ()
    all_phases: bool = False


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some entries in their order. `next` is the `after` (or the `before`) of the next page."""

    items: tuple[AuditEntry, ...]
    next: int


class AuditFault(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that is not as it was written; `seq` is its number."""

    seq: int
    text: str


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found. `head` is to be kept elsewhere, for the next one to `expect`.

    `first` and `last` are the numbers of the entries that were looked at, 0 without any. At most
    so many faults are named as `nimbi.broker.audit.MOST_FAULTS` says.
    """

    is_whole: bool
    entries: int
    first: int
    last: int
    head: str
    faults: tuple[AuditFault, ...] = ()
