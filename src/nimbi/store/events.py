"""Events: every change that was seen, in one order for all who read."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.inventory import Event, EventKind
from nimbi.store.database import Database
from nimbi.store.moments import moment, stored
from nimbi.store.schema import counters, events

COUNTER = "events"
# What both databases keep as a whole number.
GREATEST_ID = 2**63 - 1


class Change(NamedTuple):
    """What an event tells, before it has its id. `body` is JSON, None for what vanished."""

    account: str
    collection: str
    thing_id: str
    kind: EventKind
    state: str | None
    body: bytes | None


async def append(connection: AsyncConnection, at: datetime, changes: Sequence[Change]) -> None:
    """Append events in the transaction of what they tell.

    Whoever appends holds the counter until its transaction ends: ids become visible in their order,
    and no gap fills later. So append last, and take no other lock after it.
    """
    if not changes:
        return
    count = update(counters).where(counters.c.name == COUNTER)
    count = count.values(value=counters.c.value + len(changes)).returning(counters.c.value)
    last = (await connection.execute(count)).scalar_one()
    first, at_us = last - len(changes) + 1, stored(at)
    rows = [
        {
            "id": id,
            "at_us": at_us,
            "account": change.account,
            "collection": change.collection,
            "thing_id": change.thing_id,
            "kind": change.kind.value,
            "state": change.state,
            "body": change.body,
        }
        for id, change in enumerate(changes, first)
    ]
    await connection.execute(insert(events), rows)


class EventStore:
    """The events, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, at: datetime, changes: Sequence[Change]) -> None:
        """Append events that belong to no other change, in a transaction of their own."""
        async with self._database.writing() as connection:
            await append(connection, at, changes)

    async def after(
        self,
        id: int,
        limit: int = 100,
        *,
        accounts: Collection[str] | None = None,
        collections: Collection[str] | None = None,
    ) -> tuple[Event, ...]:
        """Return up to `limit` events later than `id` in their order, of these when named.

        Who reads by a filter and gets fewer than `limit` has seen all up to what `newest` returned
        before.
        """
        wish = select(events).where(events.c.id > max(-1, min(id, GREATEST_ID)))
        if accounts is not None:
            wish = wish.where(events.c.account.in_(list(accounts)))
        if collections is not None:
            wish = wish.where(events.c.collection.in_(list(collections)))
        async with self._database.reading() as connection:
            rows = await connection.execute(wish.order_by(events.c.id).limit(limit))
        return tuple(_event(row) for row in rows)

    async def newest(self) -> int:
        """Return the id of the newest event, 0 before the first."""
        wish = select(counters.c.value).where(counters.c.name == COUNTER)
        async with self._database.reading() as connection:
            return int((await connection.execute(wish)).scalar_one())

    async def oldest(self) -> int:
        """Return the id of the oldest event that is kept: what came before it is forgotten.

        One more than `newest` when none is kept. Who has seen an id below `oldest() - 1` has missed
        some, and lists anew.
        """
        async with self._database.reading() as connection:
            found = (await connection.execute(select(func.min(events.c.id)))).scalar()
        return int(found) if found is not None else await self.newest() + 1

    async def prune(self, before: datetime, *, most: int = 10_000) -> int:
        """Forget up to `most` events from before this time; return how many it were."""
        old = select(events.c.id).where(events.c.at_us < stored(before))
        old = old.order_by(events.c.id).limit(most)
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(events).where(events.c.id.in_(old)))
        return gone.rowcount


def _event(row: Row[Any]) -> Event:
    return Event(
        id=row.id,
        at=moment(row.at_us),
        account=row.account,
        collection=row.collection,
        thing_id=row.thing_id,
        kind=EventKind(row.kind),
        state=row.state,
        body=None if row.body is None else msgspec.Raw(row.body),
    )
