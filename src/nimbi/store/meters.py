"""The meter: events and the inventory become intervals of usage, each change once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.store.database import Database
from nimbi.store.differences import Differences, Told, capacities
from nimbi.store.events import COUNTER
from nimbi.store.intervals import Intervals, Reading
from nimbi.store.metered import BLOBS, METERED, Capacities, seen
from nimbi.store.moments import moment_or_none
from nimbi.store.schema import (
    OPEN_S,
    accounts,
    counters,
    events,
    meters,
    usage,
)

NAME = "events"
# The row that tells up to when it is known what became held.
HELD = "held"
# How much later than its time a transaction may end, at most.
LATE_US = 600_000_000
ACCOUNTS, BUCKETS = "accounts", "buckets"
VANISHED = "vanished"
BATCH = 500
# How far `seen_us` may be behind while nothing happens.
AGE_US = 10_000_000


class Progress(NamedTuple):
    """What one step of the meter came to: how many events it took, and whether some were missed."""

    taken: int
    missed: bool


@dataclass
class _Cursor:
    event_id: int
    usage_id: int
    series_id: int


class MeterStore:
    """Takes in what happened. Any number of processes may try: each change is taken in once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known_until(self) -> datetime | None:
        """Return up to when all that was seen has been taken in; None before the first time."""
        wish = select(meters.c.seen_us).where(meters.c.name == NAME)
        async with self._database.reading() as connection:
            return moment_or_none((await connection.execute(wish)).scalar())

    async def advance(self, limit: int = BATCH) -> Progress:
        """Take in up to `limit` events after those that were taken in before.

        When some of them are forgotten already, or none was ever taken in, `missed` says so and
        nothing is done: `compare` is to look at all there is.
        """
        if not await self._is_behind():
            return Progress(0, missed=False)
        async with self._database.writing() as connection:
            cursor = await self._locked(connection)
            if cursor is None:
                return Progress(0, missed=True)
            oldest = (await connection.execute(select(func.min(events.c.id)))).scalar()
            newest = await _newest(connection)
            if cursor.event_id < (oldest if oldest is not None else newest + 1) - 1:
                return Progress(0, missed=True)
            wish = select(events).where(events.c.id > cursor.event_id).order_by(events.c.id)
            rows = (await connection.execute(wish.limit(limit))).all()
            await self._write(connection, cursor, await self._told(connection, rows))
            if rows:
                cursor.event_id = rows[-1].id
            await self._kept(connection, cursor, is_current=cursor.event_id >= newest)
        return Progress(len(rows), missed=False)

    async def compare(self, *, whole: bool = False) -> int | None:
        """Hold what is in use against the inventory, and mend what differs; return how much it was.

        What no event told is found so: the first list of a collection makes none. With `whole` each
        thing is looked at, and the meter goes on behind the newest event; without it, only what is
        on one side alone or was not known well enough. None, and nothing done, while events wait.
        """
        async with self._database.writing() as connection:
            cursor = await self._locked(connection, make=whole)
            if cursor is None:
                return None
            # Whoever appends an event holds this until it is there: the inventory and the events
            # tell the same meanwhile.
            newest = await _newest(connection, alone=True)
            if not whole and cursor.event_id < newest:
                return None
            now_us = await self._now_us(connection)
            found = Differences(connection, now_us)
            count = await self._write(connection, cursor, await found.gone())
            async for some in found.new(whole=whole):
                count += await self._write(connection, cursor, some)
            count += await self._amend(connection, cursor, found, now_us)
            count += await self._write(connection, cursor, await found.owned())
            cursor.event_id = newest
            await self._kept(connection, cursor, is_current=True)
        return count

    async def _amend(
        self, connection: AsyncConnection, cursor: _Cursor, found: Differences, now_us: int
    ) -> int:
        """Give intervals to those who had the things; return how many it were."""
        looked_us = select(meters.c.seen_us).where(meters.c.name == HELD)
        since_us = (await connection.execute(looked_us)).scalar() or 0
        rows = await found.meant(since_us - LATE_US)
        intervals = Intervals(self._database, connection, now_us)
        cursor.series_id = await intervals.amend(rows, cursor.series_id)
        new = self._database.insert(meters).values(
            name=HELD, event_id=0, usage_id=0, series_id=0, seen_us=now_us
        )
        seen = {"seen_us": now_us}
        key = [meters.c.name]
        await connection.execute(new.on_conflict_do_update(index_elements=key, set_=seen))
        return len(rows)

    async def measure(self, told: Sequence[Told]) -> None:
        """Take in what was measured: blobs that are there, or traffic that has passed."""
        async with self._database.writing() as connection:
            cursor = await self._locked(connection, make=True)
            if cursor is not None:
                await self._write(connection, cursor, told)
                await self._kept(connection, cursor, is_current=False)

    async def measured(self, account: str, collection: str) -> dict[str, int]:
        """Return when each thing of a collection was measured last, in microseconds."""
        wish = select(usage.c.thing_id, func.max(usage.c.at_us)).where(
            usage.c.account == account, usage.c.collection == collection
        )
        async with self._database.reading() as connection:
            rows = await connection.execute(wish.group_by(usage.c.thing_id))
            return {id: int(at_us) for id, at_us in rows}

    async def _is_behind(self) -> bool:
        newest = select(counters.c.value).where(counters.c.name == COUNTER).scalar_subquery()
        stale = meters.c.seen_us < self._database.now_us() - literal(AGE_US)
        wish = select(or_(meters.c.event_id < newest, stale)).where(meters.c.name == NAME)
        async with self._database.reading() as connection:
            row = (await connection.execute(wish)).first()
        return row is None or bool(row[0])

    async def _locked(self, connection: AsyncConnection, *, make: bool = False) -> _Cursor | None:
        """Return how far the meter is; nobody else takes anything in until the end."""
        if make:
            new = self._database.insert(meters).values(
                name=NAME, event_id=-1, usage_id=0, series_id=0, seen_us=0
            )
            await connection.execute(new.on_conflict_do_nothing())
        wish = select(meters).where(meters.c.name == NAME).with_for_update()
        row = (await connection.execute(wish)).first()
        return None if row is None else _Cursor(row.event_id, row.usage_id, row.series_id)

    async def _kept(
        self, connection: AsyncConnection, cursor: _Cursor, *, is_current: bool
    ) -> None:
        values: dict[str, Any] = {
            "event_id": cursor.event_id,
            "usage_id": cursor.usage_id,
            "series_id": cursor.series_id,
        }
        if is_current:
            values["seen_us"] = self._database.now_us()
        await connection.execute(update(meters).where(meters.c.name == NAME).values(values))

    async def _write(
        self, connection: AsyncConnection, cursor: _Cursor, told: Iterable[Told]
    ) -> int:
        """Keep what was told, in its order; return how many intervals began."""
        now_us = await self._now_us(connection)
        intervals = Intervals(self._database, connection, now_us)
        places: dict[tuple[str, str], list[Told]] = defaultdict(list)
        for one in told:
            places[one.account, one.collection].append(one)
        for (account, collection), those in places.items():
            made_us = await _account_made_us(connection, account)
            readings = [_reading(one, made_us, now_us) for one in those]
            await intervals.take(account, collection, readings)
        cursor.usage_id, cursor.series_id, count = await intervals.write(
            cursor.usage_id, cursor.series_id
        )
        return count

    async def _told(self, connection: AsyncConnection, rows: Sequence[Any]) -> list[Told]:
        """Return what events tell of what is metered."""
        found: list[Told] = []
        sizes: dict[str, Capacities] = {}
        for row in rows:
            is_gone = row.kind == VANISHED
            if row.collection == ACCOUNTS and is_gone:
                found += await self._of_account(connection, row, found)
            elif row.collection == BUCKETS and is_gone:
                found.append(Told(row.account, BLOBS, row.thing_id, row.at_us, None, row.id))
            elif row.collection in METERED:
                found.append(await self._of_thing(connection, row, sizes))
        return found

    async def _of_thing(
        self, connection: AsyncConnection, row: Any, sizes: dict[str, Capacities]
    ) -> Told:
        place = (row.account, row.collection, row.thing_id)
        if row.body is None:
            return Told(*place, row.at_us, None, row.id)
        if row.collection == "instances" and row.account not in sizes:
            sizes[row.account] = await capacities(connection, row.account)
        seen_ = seen(row.collection, row.body, sizes.get(row.account, {}))
        return Told(*place, row.at_us, seen_, row.id, appeared=row.kind == "appeared")

    async def _of_account(
        self, connection: AsyncConnection, row: Any, before: Sequence[Told]
    ) -> list[Told]:
        """Return the end of all that an account had: it is not known any more."""
        wish = select(usage.c.collection, usage.c.thing_id).where(
            usage.c.account == row.thing_id, usage.c.until_s == OPEN_S
        )
        known = [(one.collection, one.thing_id) for one in await connection.execute(wish)]
        known += [(one.collection, one.thing_id) for one in before if one.account == row.thing_id]
        return [
            Told(row.thing_id, collection, id, row.at_us, None, row.id)
            for collection, id in dict.fromkeys(known)
        ]

    async def _now_us(self, connection: AsyncConnection) -> int:
        return int((await connection.execute(select(self._database.now_us()))).scalar_one())


def _reading(told: Told, account_made_us: int, now_us: int) -> Reading:
    """Return a change as it is kept: never later than now, for no clock sees ahead.

    What appears was in use since it was made, if its cloud tells when; not before its account was.
    """
    at_us = min(told.at_us, now_us)
    since_us = at_us
    if told.appeared and told.seen is not None and told.seen.created_us is not None:
        since_us = max(account_made_us, min(at_us, told.seen.created_us))
    facts = None if told.seen is None else told.seen.facts
    name = "" if told.seen is None else told.seen.name
    return Reading(told.thing_id, name, at_us, min(since_us, at_us), facts, told.event_id)


async def _newest(connection: AsyncConnection, *, alone: bool = False) -> int:
    wish = select(counters.c.value).where(counters.c.name == COUNTER)
    return int((await connection.execute(wish.with_for_update() if alone else wish)).scalar_one())


async def _account_made_us(connection: AsyncConnection, account: str) -> int:
    wish = select(accounts.c.created_us).where(accounts.c.id == account)
    return int((await connection.execute(wish)).scalar() or 0)
