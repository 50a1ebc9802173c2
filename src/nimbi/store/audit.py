"""The audit: entries that are only ever appended, each with a hash over the one before."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Column, ColumnElement, Row, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.audit import OPEN, AuditEntry, AuditFilter, Phase
from nimbi.store.database import Database
from nimbi.store.moments import moment, stored
from nimbi.store.schema import audit, audit_head, plain

# What the first entry follows.
FIRST_HASH = bytes(32)
# Says how the bytes under a hash are made; it is among them.
CHAIN = 1
HEAD_ID = 1
EXACT = ("tenant", "account", "thing", "result", "request_id")
ALL = AuditFilter(all_phases=True)

DETAILS = msgspec.json.Decoder(dict[str, Any])
DETAILS_ENCODER = msgspec.json.Encoder(order="deterministic")
# What is under the hash beside the details, in this order for ever.
HASHED = (
    *("seq", "at_us", "phase", "began", "user", "name", "token", "tenant", "owners"),
    *("operation", "account", "thing", "result", "request_id", "address"),
)


class NewEntry(NamedTuple):
    """An entry before it has its place in the chain; fields as in `AuditEntry`."""

    at: datetime
    phase: Phase
    began: int
    user: str
    name: str
    token: str
    tenant: str
    owners: tuple[str, ...]
    operation: str
    account: str
    thing: str
    result: str
    request_id: str
    address: str
    details: dict[str, Any]


class Chain(NamedTuple):
    """The ends of the chain: the last entry, and the last one that retention has removed."""

    seq: int
    hash: bytes
    anchor_seq: int
    anchor_hash: bytes


class AuditStore:
    """The entries, in the one order in which all processes have appended them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entries: Sequence[NewEntry]) -> list[int]:
        """Append entries in one transaction of their own; return their numbers."""
        async with self._database.writing() as connection:
            return await append(self._database, connection, entries)

    async def along(self, connection: AsyncConnection, entries: Sequence[NewEntry]) -> list[int]:
        """Append entries as the last of somebody's transaction; return their numbers."""
        return await append(self._database, connection, entries)

    async def after(
        self, seq: int, limit: int = 100, wish: AuditFilter = ALL
    ) -> tuple[AuditEntry, ...]:
        """Return up to `limit` entries later than `seq`, the oldest first."""
        found = select(audit).where(audit.c.seq > seq, *_conditions(wish))
        return await self._entries(found.order_by(audit.c.seq).limit(limit))

    async def before(
        self, seq: int | None, limit: int = 100, wish: AuditFilter = ALL
    ) -> tuple[AuditEntry, ...]:
        """Return up to `limit` entries earlier than `seq`, the newest first; None: the newest."""
        found = select(audit).where(*_conditions(wish))
        if seq is not None:
            found = found.where(audit.c.seq < seq)
        return await self._entries(found.order_by(audit.c.seq.desc()).limit(limit))

    async def get(self, seq: int) -> AuditEntry | None:
        """Return one entry."""
        found = await self._entries(select(audit).where(audit.c.seq == seq))
        return found[0] if found else None

    async def rows(self, after: int, limit: int) -> Sequence[Row[Any]]:
        """Return entries as they are stored, to verify: in the order of their numbers."""
        wish = select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(limit)
        async with self._database.reading() as connection:
            return (await connection.execute(wish)).all()

    async def chain(self) -> Chain:
        """Return where the chain begins and ends."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(audit_head))).first()
        return _chain(row)

    async def newest(self) -> int:
        """Return the number of the newest entry, 0 before the first."""
        return (await self.chain()).seq

    async def counts(self) -> dict[str, int]:
        """Return how many entries of each phase are kept."""
        wish = select(audit.c.phase, func.count()).group_by(audit.c.phase)
        async with self._database.reading() as connection:
            return {row[0]: row[1] for row in await connection.execute(wish)}

    async def prune(self, before: datetime, told: NewEntry, *, most: int = 10_000) -> int:
        """Remove up to `most` entries from before a time, from the oldest on; return how many.

        `told` is appended in the same transaction, with the last that was removed in its details:
        what is left stays verifiable from there. Nothing is appended when nothing is removed. An
        entry whose clock was ahead holds back those after it until its time has come.
        """
        async with self._database.writing() as connection:
            chain = await _locked_chain(self._database, connection)
            kept = select(func.min(audit.c.seq)).where(audit.c.at_us >= stored(before))
            first_kept = (await connection.execute(kept)).scalar()
            last = min(
                chain.anchor_seq + most, chain.seq, *([first_kept - 1] if first_kept else [])
            )
            hash = select(audit.c.hash).where(audit.c.seq == last)
            found = (await connection.execute(hash)).scalar()
            if found is None or last <= chain.anchor_seq:
                return 0
            gone = await connection.execute(delete(audit).where(audit.c.seq <= last))
            anchor = update(audit_head).values(anchor_seq=last, anchor_hash=found)
            await connection.execute(anchor)
            details = {**told.details, "through": last, "hash": found.hex()}
            await append(self._database, connection, [told._replace(details=details)])
        return gone.rowcount

    async def _entries(self, wish: Any) -> tuple[AuditEntry, ...]:
        async with self._database.reading() as connection:
            return tuple(_entry(row) for row in await connection.execute(wish))


async def append(
    database: Database, connection: AsyncConnection, entries: Sequence[NewEntry]
) -> list[int]:
    """Append entries in the transaction of what they tell; return their numbers.

    Whoever appends holds the end of the chain until its transaction ends, whichever process it is:
    so append last, and take no other lock after it.
    """
    if not entries:
        return []
    chain = await _locked_chain(database, connection)
    seq, last = chain.seq, chain.hash
    rows = []
    for seq, entry in enumerate(entries, chain.seq + 1):
        row = _row(seq, last, entry)
        last = row["hash"]
        rows.append(row)
    await connection.execute(insert(audit), rows)
    await connection.execute(update(audit_head).values(seq=seq, hash=last))
    return [row["seq"] for row in rows]


def hash_of(row: Any) -> bytes:
    """Return the hash that a stored row must have, over its `previous` and all it tells."""
    told = [CHAIN, *(getattr(row, name) for name in HASHED)]
    parts = (bytes(row.previous), msgspec.json.encode(told), bytes(row.details))
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.digest()


def head_of(seq: int, hash: bytes) -> str:
    """Return the end of a chain as people keep it: `NUMBER:HASH`."""
    return f"{seq}:{hash.hex()}"


async def _locked_chain(database: Database, connection: AsyncConnection) -> Chain:
    """Return the chain's ends, which nobody else moves before this transaction ends."""
    wish = select(audit_head).where(audit_head.c.id == HEAD_ID).with_for_update()
    row = (await connection.execute(wish)).first()
    if row is None:
        first = {"id": HEAD_ID, "seq": 0, "hash": FIRST_HASH}
        first |= {"anchor_seq": 0, "anchor_hash": FIRST_HASH}
        made = database.insert(audit_head).values(first).on_conflict_do_nothing()
        await connection.execute(made)
        row = (await connection.execute(wish)).first()
    return _chain(row)


def _chain(row: Row[Any] | None) -> Chain:
    if row is None:
        return Chain(0, FIRST_HASH, 0, FIRST_HASH)
    return Chain(row.seq, bytes(row.hash), row.anchor_seq, bytes(row.anchor_hash))


class _Written(msgspec.Struct):
    """A row on its way, by names as a stored one has them."""

    seq: int
    at_us: int
    phase: str
    began: int
    user: str
    name: str
    token: str
    tenant: str
    owners: str
    operation: str
    account: str
    thing: str
    result: str
    request_id: str
    address: str
    details: bytes
    previous: bytes
    hash: bytes = b""


def _row(seq: int, previous: bytes, entry: NewEntry) -> dict[str, Any]:
    # The hash is over what the database gives back, which takes not every character.
    written = _Written(
        seq=seq,
        at_us=stored(entry.at),
        phase=entry.phase.value,
        began=entry.began,
        user=plain(entry.user),
        name=plain(entry.name),
        token=plain(entry.token),
        tenant=plain(entry.tenant),
        owners=plain(_path(entry.owners)),
        operation=plain(entry.operation),
        account=plain(entry.account),
        thing=plain(entry.thing),
        result=plain(entry.result),
        request_id=plain(entry.request_id),
        address=plain(entry.address),
        details=DETAILS_ENCODER.encode(entry.details),
        previous=previous,
    )
    return msgspec.structs.asdict(written) | {"hash": hash_of(written)}


def _path(tenants: tuple[str, ...]) -> str:
    return "/" + "".join(f"{tenant}/" for tenant in tenants)


def _conditions(wish: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        audit.c[name] == getattr(wish, name) for name in EXACT if getattr(wish, name) is not None
    ]
    if wish.user is not None:
        found.append(or_(audit.c.user == wish.user, audit.c.name == wish.user))
    if wish.operation is not None and wish.operation.endswith(".*"):
        found.extend(_begins(audit.c.operation, wish.operation[:-1]))
    elif wish.operation is not None:
        found.append(audit.c.operation == wish.operation)
    if wish.since is not None:
        found.append(audit.c.at_us >= stored(wish.since))
    if wish.until is not None:
        found.append(audit.c.at_us < stored(wish.until))
    # Everything is below the root.
    if len(wish.below) > 1:
        found.extend(_begins(audit.c.owners, _path(wish.below)))
    if not wish.all_phases:
        ends = audit.alias("ends")
        is_ended = select(ends.c.seq).where(ends.c.began == audit.c.seq).exists()
        found.append(or_(audit.c.phase != Phase.BEGUN.value, ~is_ended))
    return found


def _begins(column: Column[str], start: str) -> tuple[ColumnElement[bool], ...]:
    # LIKE takes no account of case on SQLite, and uses no index on either.
    return column >= start, column < start[:-1] + chr(ord(start[-1]) + 1)


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        seq=row.seq,
        at=moment(row.at_us),
        phase=Phase(row.phase),
        began=row.began or None,
        user=row.user,
        name=row.name,
        token=row.token,
        tenant=row.tenant,
        owners=tuple(row.owners.strip("/").split("/")),
        operation=row.operation,
        account=row.account or None,
        thing=row.thing or None,
        result=row.result or OPEN,
        request_id=row.request_id or None,
        address=row.address or None,
        details=DETAILS.decode(row.details),
        previous=bytes(row.previous).hex(),
        hash=bytes(row.hash).hex(),
    )
