"""Polls: when each account was last asked for each collection, and when it is to be asked again."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, delete, select, update

from nimbi.model.accounts import Problem
from nimbi.store.database import Database
from nimbi.store.moments import micro, moment, moment_or_none, stored
from nimbi.store.schema import accounts, polls

PROBLEM = msgspec.json.Decoder(Problem)
SECOND_US = 1_000_000


class PollState(msgspec.Struct, frozen=True, kw_only=True):
    """How well one collection of one account is known.

    `polled_at` is when the cloud was last asked, `ok_at` when it last gave a whole list; None when
    never. `problem` is why the last one was not whole; None when it was. `complete` says whether
    the last one was whole. `count` is how many things are known. `next_at` is when to ask again,
    `interval_s` the pause that led to it.
    """

    account: str
    collection: str
    polled_at: datetime | None
    ok_at: datetime | None
    problem: Problem | None
    complete: bool
    count: int
    next_at: datetime
    interval_s: float


class PollStore:
    """When to ask which account for what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, account: str, collection: str) -> PollState | None:
        """Return the state of one collection, None when it was never asked for nor planned."""
        return (await self.states(collection, [account])).get(account)

    async def states(
        self, collection: str, accounts: Collection[str] | None = None
    ) -> dict[str, PollState]:
        """Return the states of a collection by account, of these accounts when named."""
        wish = select(polls).where(polls.c.collection == collection)
        if accounts is not None:
            wish = wish.where(polls.c.account.in_(list(accounts)))
        async with self._database.reading() as connection:
            return {row.account: poll_state(row) for row in await connection.execute(wish)}

    async def of_account(self, account: str) -> dict[str, PollState]:
        """Return the states of an account by collection."""
        wish = select(polls).where(polls.c.account == account)
        async with self._database.reading() as connection:
            return {row.collection: poll_state(row) for row in await connection.execute(wish)}

    async def due(self, before: datetime, limit: int = 1000) -> tuple[PollState, ...]:
        """Return what is to be asked for before this time of accounts that are enabled.

        What has waited longest comes first.
        """
        wish = (
            select(polls)
            .join(accounts, accounts.c.id == polls.c.account)
            .where(accounts.c.is_enabled, polls.c.next_us <= stored(before))
            .order_by(polls.c.next_us, polls.c.account, polls.c.collection)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return tuple(poll_state(row) for row in await connection.execute(wish))

    async def next_due(self) -> datetime | None:
        """Return when the next of an account that is enabled is due, None when none is."""
        wish = select(polls.c.next_us).join(accounts, accounts.c.id == polls.c.account)
        wish = wish.where(accounts.c.is_enabled).order_by(polls.c.next_us).limit(1)
        async with self._database.reading() as connection:
            return moment_or_none((await connection.execute(wish)).scalar())

    async def schedule(
        self, account: str, collection: str, next_at: datetime, interval_s: float
    ) -> None:
        """Say when to ask again. An account that is not there any more is left out."""
        values = {"next_us": stored(next_at), "interval_us": micro(interval_s)}
        new = self._database.insert(polls).values(
            account=account, collection=collection, complete=False, known=0, **values
        )
        change = new.on_conflict_do_update(
            index_elements=[polls.c.account, polls.c.collection], set_=values
        )
        known = select(accounts.c.id).where(accounts.c.id == account)
        async with self._database.writing() as connection:
            held = known.with_for_update(read=True, key_share=True)
            if (await connection.execute(held)).first() is not None:
                await connection.execute(change)

    async def hurry(self, account: str, collection: str, at: datetime) -> None:
        """Ask again at this time at the latest."""
        change = update(polls).where(
            polls.c.account == account,
            polls.c.collection == collection,
            polls.c.next_us > stored(at),
        )
        async with self._database.writing() as connection:
            await connection.execute(change.values(next_us=stored(at)))

    async def hurry_all(self, at: datetime, *, without: Collection[str]) -> None:
        """Ask all accounts again at this time at the latest, for all collections but these."""
        change = update(polls).where(
            polls.c.collection.not_in(list(without)), polls.c.next_us > stored(at)
        )
        async with self._database.writing() as connection:
            await connection.execute(change.values(next_us=stored(at)))

    async def forget(self, account: str, collection: str) -> None:
        """Ask no more: the account's cloud has no such collection."""
        gone = delete(polls).where(polls.c.account == account, polls.c.collection == collection)
        async with self._database.writing() as connection:
            await connection.execute(gone)


def poll_state(row: Row[Any]) -> PollState:
    """Return the state that is kept in a row of `polls`."""
    return PollState(
        account=row.account,
        collection=row.collection,
        polled_at=moment_or_none(row.polled_us),
        ok_at=moment_or_none(row.ok_us),
        problem=None if row.problem is None else PROBLEM.decode(row.problem),
        complete=row.complete,
        count=row.known,
        next_at=moment(row.next_us),
        interval_s=row.interval_us / SECOND_US,
    )
