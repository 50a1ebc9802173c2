"""The inventory: what each account holds, as its cloud told last."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.accounts import Problem
from nimbi.model.errors import NotFound
from nimbi.model.inventory import Thing
from nimbi.store.accounts import missing
from nimbi.store.database import Database
from nimbi.store.holdings import HoldingStore
from nimbi.store.listing import Found, Query, count, page
from nimbi.store.merging import Merge, thing_of
from nimbi.store.moments import stored
from nimbi.store.polls import PollState, PollStore
from nimbi.store.schema import accounts, dropped, labels, plain, polls, things

# Things that are compared and written at once.
BATCH = 500
# So many new ones may change how lists are best read.
MANY = 1000


class Changes(NamedTuple):
    """How many things came, changed and went. `superseded`: a later list was there already."""

    appeared: int = 0
    changed: int = 0
    vanished: int = 0
    superseded: bool = False

    def __bool__(self) -> bool:
        return bool(self.appeared or self.changed or self.vanished)


class InventoryStore:
    """The things of all accounts, one row a thing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.polls = PollStore(database)
        self.holdings = HoldingStore(database)

    async def replace(
        self,
        account: str,
        collection: str,
        found: Iterable[Thing],
        seen_at: datetime,
        *,
        complete: bool = True,
        problem: Problem | None = None,
    ) -> Changes:
        """Keep what a cloud's list says, all of it or nothing, with an event for each change.

        `seen_at` is when the cloud was asked: what came or went through us since then stays as it
        is, and a list older than the last one changes nothing. With `complete=False` nothing
        vanishes, and `problem` says what is missing. Things are read once, a batch at a time, and
        only what differs is written; of all of them only the ids are held. The first list of a
        collection makes no events. Raises NotFound when there is no such account any more.
        """
        seen_us = stored(seen_at)
        async with self._database.writing() as connection:
            await self._alone(connection, account, collection)
            last_us = await _last_list(connection, account, collection)
            if last_us is not None and last_us > seen_us:
                return Changes(superseded=True)
            tells = last_us is not None
            merge = Merge(self._database, connection, account, collection, seen_at, tells=tells)
            rest = iter(found)
            while batch := list(islice(rest, BATCH)):
                await merge.take(batch)
            if complete:
                await merge.sweep()
                await _forget_dropped(connection, account, collection, seen_us)
            state = _state(seen_us, problem, complete=complete)
            await self._told(connection, account, collection, state)
        if merge.appeared >= MANY:
            await self._database.measured()
        return _changes(merge)

    async def mark_failed(
        self, account: str, collection: str, problem: Problem, at: datetime
    ) -> None:
        """Say that the cloud was asked in vain; what is known of it stays.

        An account that is not there any more is left out.
        """
        at_us = stored(at)
        try:
            async with self._database.writing() as connection:
                await self._alone(connection, account, collection)
                last_us = await _last_list(connection, account, collection)
                if last_us is None or last_us <= at_us:
                    state = _state(at_us, problem, complete=False)
                    await self._told(connection, account, collection, state)
        except NotFound:
            return

    async def put(self, account: str, collection: str, thing: Thing, seen_at: datetime) -> Changes:
        """Keep one thing as a call through us showed it, with an event when it differs.

        `seen_at` is when the call was made. Raises NotFound when there is no such account any more.
        """
        async with self._database.writing() as connection:
            await self._alone(connection, account, collection)
            merge = Merge(self._database, connection, account, collection, seen_at)
            await merge.take([thing], touch=True)
            await _counted(connection, account, collection, merge.appeared)
        return _changes(merge)

    async def drop(self, account: str, collection: str, id: str, at: datetime) -> Changes:
        """Forget one thing that a call through us removed, with an event.

        `at` is when it was gone: a list that the cloud was asked for before does not bring it back.
        Raises NotFound when there is no such account any more.
        """
        values = {"dropped_us": stored(at)}
        mark = self._database.insert(dropped)
        mark = mark.values(account=account, collection=collection, id=id, **values)
        keys = list(dropped.primary_key.columns)
        async with self._database.writing() as connection:
            await self._alone(connection, account, collection)
            await connection.execute(mark.on_conflict_do_update(index_elements=keys, set_=values))
            merge = Merge(self._database, connection, account, collection, at)
            await merge.remove([plain(id)])
            await _counted(connection, account, collection, -merge.vanished)
        return _changes(merge)

    async def thing(self, account: str, collection: str, id: str) -> Thing:
        """Return one thing. Raises NotFound."""
        wish = select(things).where(
            things.c.account == account, things.c.collection == collection, things.c.id == id
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(wish)).first()
        if row is None:
            raise NotFound(f"nothing is known of {id!r} in {collection} of {account!r}")
        return thing_of(row)

    async def query(self, query: Query) -> list[Found]:
        """Return a page of a list. Raises Invalid for a filter or an order that there is not."""
        rows = await self._database.rows(*page(query))
        return [Found((key, account, id), body) for key, account, id, body in rows]

    async def count(self, query: Query) -> dict[str, int]:
        """Return how many things fit, by account, whatever page is asked for; none: no entry."""
        rows = await self._database.rows(*count(query))
        return {str(account): int(number) for account, number in rows}

    async def state(self, account: str, collection: str) -> PollState | None:
        """Return how well one collection is known, None when it was never asked for."""
        return await self.polls.state(account, collection)

    async def forget(self, account: str, collection: str) -> None:
        """Forget a collection that the account's cloud does not have any more; no events."""
        async with self._database.writing() as connection:
            await self._database.locked(connection, "inventory", account, collection)
            for table in (things, labels, dropped, polls):
                await connection.execute(
                    delete(table).where(
                        table.c.account == account, table.c.collection == collection
                    )
                )

    async def _alone(self, connection: AsyncConnection, account: str, collection: str) -> None:
        """Let nobody else change this collection, nor remove the account, until the end."""
        wish = select(accounts.c.id).where(accounts.c.id == account)
        held = wish.with_for_update(read=True, key_share=True)
        if (await connection.execute(held)).first() is None:
            raise missing(account)
        await self._database.locked(connection, "inventory", account, collection)

    async def _told(
        self, connection: AsyncConnection, account: str, collection: str, state: dict[str, Any]
    ) -> None:
        here = (things.c.account == account, things.c.collection == collection)
        number = select(func.count()).select_from(things).where(*here).scalar_subquery()
        values = state | {"known": number}
        new = self._database.insert(polls).values(
            account=account,
            collection=collection,
            next_us=state["polled_us"],
            interval_us=0,
            **values,
        )
        keys = list(polls.primary_key.columns)
        await connection.execute(new.on_conflict_do_update(index_elements=keys, set_=values))


def _state(at_us: int, problem: Problem | None, *, complete: bool) -> dict[str, Any]:
    state = {
        "polled_us": at_us,
        "problem": None if problem is None else msgspec.json.encode(problem),
        "complete": complete,
    }
    return state | {"ok_us": at_us} if complete else state


def _changes(merge: Merge) -> Changes:
    return Changes(merge.appeared, merge.changed, merge.vanished)


async def _last_list(connection: AsyncConnection, account: str, collection: str) -> int | None:
    wish = select(polls.c.ok_us).where(polls.c.account == account, polls.c.collection == collection)
    return (await connection.execute(wish)).scalar()


async def _forget_dropped(
    connection: AsyncConnection, account: str, collection: str, before_us: int
) -> None:
    gone = delete(dropped).where(
        dropped.c.account == account,
        dropped.c.collection == collection,
        dropped.c.dropped_us <= before_us,
    )
    await connection.execute(gone)


async def _counted(connection: AsyncConnection, account: str, collection: str, more: int) -> None:
    if more:
        change = update(polls).where(polls.c.account == account, polls.c.collection == collection)
        await connection.execute(change.values(known=polls.c.known + more))
