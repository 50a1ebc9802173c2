"""Holdings against the inventory: what is gone, what nobody works on, what is of another size."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.holdings import HoldingState
from nimbi.store.database import Database
from nimbi.store.holdings import HoldingStore, one
from nimbi.store.moments import stored
from nimbi.store.schema import METADATA, holdings, intents, polls, things

# So many whole lists in a row do not show a thing before it counts as gone.
MISSES = 3
# Clouds that copy their data between places may not list at once what was made just now.
UNSEEN_US = 15_000_000
# What is reserved is somebody's work for so long, whatever became of the process.
SETTLED = timedelta(minutes=20)
# Jobs in these states work no more.
ENDED = ("done", "failed", "cancelled")

HERE = and_(
    things.c.account == holdings.c.account,
    things.c.collection == holdings.c.collection,
    things.c.id == holdings.c.thing_id,
)


class Left(NamedTuple):
    """What does not fit: holdings of things that are gone, or that nobody works on any more."""

    gone: Sequence[Row[Any]]
    stale: Sequence[Row[Any]]
    unmeasured: Sequence[Row[Any]]


class Reconciler:
    """Compares what is held with what clouds have told."""

    def __init__(self, database: Database, holdings: HoldingStore) -> None:
        self._database = database
        self._holdings = holdings

    async def looked(self, account: str, collection: str, asked_at: datetime) -> int:
        """Take note of what a whole list, asked for at a time, did not show; release what is gone.

        Returns how many are still missing, and may be gone for all that is known.
        """
        asked_us = stored(asked_at)
        here = (holdings.c.account == account, holdings.c.collection == collection)
        async with self._database.reading() as connection:
            missing = await self._missing(connection, asked_us, *here)
            again = await self._seen_again(connection, *here)
            stale = await self._stale(connection, asked_at, *here)
        if not (missing or again or stale):
            return 0
        async with self._database.writing() as connection:
            await self._holdings.quotas.alone(connection)
            # What was read before may have changed meanwhile.
            missing = await self._missing(connection, asked_us, *here)
            gone = [row for row in missing if row.missed + 1 >= MISSES]
            for row in missing:
                values = {"missed": row.missed + 1, "missed_us": asked_us}
                await connection.execute(one(row).values(values))
            for row in await self._seen_again(connection, *here):
                await connection.execute(one(row).values(missed=0))
            gone += await self._stale(connection, asked_at, *here)
            await self._holdings.give_back(connection, gone)
        return len(missing)

    async def left(self, at: datetime, *, mend: bool) -> Left:
        """Return what does not fit now, in all accounts; with `mend` what is gone is released."""
        async with self._database.writing() as connection:
            await self._holdings.quotas.alone(connection)
            last_us = select(polls.c.ok_us).where(
                polls.c.account == holdings.c.account,
                polls.c.collection == holdings.c.collection,
                polls.c.complete,
            )
            gone = await self._missing(connection, last_us.scalar_subquery())
            stale = await self._stale(connection, at)
            if mend:
                # A blob has its id from the beginning: it may be there.
                sure = [row for row in stale if row.thing_id is None]
                await self._holdings.give_back(connection, [*gone, *sure])
            return Left(gone, stale, await self._unmeasured(connection))

    async def unmeasured(self, account: str, collection: str) -> Sequence[Row[Any]]:
        """Return holdings whose size is not known, of things that the inventory has."""
        here = (holdings.c.account == account, holdings.c.collection == collection)
        async with self._database.reading() as connection:
            return await self._unmeasured(connection, *here)

    async def _missing(
        self, connection: AsyncConnection, asked_us: Any, *where: Any
    ) -> list[Row[Any]]:
        wish = select(holdings).where(
            *where,
            holdings.c.state == HoldingState.HELD,
            holdings.c.collection != "blobs",
            holdings.c.held_us < asked_us - UNSEEN_US,
            holdings.c.missed_us < asked_us,
            ~select(things.c.id).where(HERE).exists(),
        )
        return list((await connection.execute(wish)).all())

    async def _seen_again(self, connection: AsyncConnection, *where: Any) -> Sequence[Row[Any]]:
        wish = select(holdings).where(
            *where,
            holdings.c.state == HoldingState.HELD,
            holdings.c.missed > 0,
            select(things.c.id).where(HERE).exists(),
        )
        return (await connection.execute(wish)).all()

    async def _stale(
        self, connection: AsyncConnection, at: datetime, *where: Any
    ) -> Sequence[Row[Any]]:
        """Return what is reserved, and neither a request nor a job works on."""
        before_us = stored(at - SETTLED)
        works = select(intents.c.token).where(
            intents.c.account == holdings.c.account,
            intents.c.token == holdings.c.token,
            ~intents.c.is_done,
            # One that has made some of its things makes no more of them.
            intents.c.thing_id.is_(None) | (intents.c.until_us > before_us),
        )
        wish = select(holdings).where(
            *where,
            holdings.c.state == HoldingState.RESERVED,
            holdings.c.created_us < before_us,
            ~works.exists(),
        )
        jobs = METADATA.tables["jobs"]
        lives = select(jobs.c.id).where(jobs.c.id == holdings.c.job, ~jobs.c.state.in_(ENDED))
        return (await connection.execute(wish.where(~lives.exists()))).all()

    async def _unmeasured(self, connection: AsyncConnection, *where: Any) -> Sequence[Row[Any]]:
        wish = select(holdings).where(
            *where,
            holdings.c.state == HoldingState.HELD,
            holdings.c.kind.is_(None),
            select(things.c.id).where(HERE).exists(),
        )
        return (await connection.execute(wish)).all()
