"""Intents: what Nimbi is about to make in a cloud, written down before the cloud is asked."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, Update, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.store.database import Database
from nimbi.store.holdings import HoldingStore
from nimbi.store.moments import micro, moment, stored
from nimbi.store.schema import intents, plain, things

# One request may make several things. The first is at its token, the others each at that and an id.
SEVERAL = "\x1f"


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that Nimbi makes or has made.

    `token` goes down to the cloud, which makes one thing of it. An intent that is not done belongs
    to `holder` until `until`; later it is abandoned: its process died or lost the answer, and the
    thing may be there or not. `thing_id` is what was made, once that is known. Of several things
    that one request made each has an intent, and `request` is the token that was sent.
    """

    account: str
    token: str
    operation: str
    collection: str
    name: str | None
    begun_at: datetime
    holder: str | None
    until: datetime
    thing_id: str | None
    is_done: bool

    @property
    def request(self) -> str:
        """The token that went down to the cloud."""
        return self.token.partition(SEVERAL)[0]


class IntentStore:
    """The intents, by account and token. Holdings change with them, in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holdings = HoldingStore(database)

    async def write(
        self,
        account: str,
        token: str,
        operation: str,
        at: datetime,
        *,
        holder: str,
        seconds: float,
        name: str | None = None,
        along: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> bool:
        """Write down what is about to be made; it is on the disk when this returns.

        `seconds` is when the answer is due at the latest. The same token again is the same intent,
        which belongs to `holder` from now on. False, and nothing changed, while another holds it.
        `along` is done in the same transaction; what it raises leaves nothing written.
        """
        now = self._database.now_us()
        until = now + micro(seconds)
        new = self._database.insert(intents).values(
            account=account,
            token=token,
            operation=operation,
            collection=operation.partition(".")[0],
            name=name,
            begun_us=stored(at),
            holder=holder,
            until_us=until,
            thing_id=None,
            is_done=False,
        )
        written = new.on_conflict_do_update(
            index_elements=[intents.c.account, intents.c.token],
            set_={"holder": holder, "until_us": until},
            where=(intents.c.until_us <= now) | (intents.c.holder == holder) | intents.c.is_done,
        ).returning(intents.c.token)
        # What it made before, as far as a cloud has shown that, is no longer anybody's to remove.
        others = update(intents).where(
            intents.c.account == account,
            intents.c.token.startswith(token + SEVERAL, autoescape=True),
            ~intents.c.is_done,
        )
        async with self._database.writing() as connection:
            if (await connection.execute(written)).scalar() is None:
                return False
            await connection.execute(others.values(holder=holder, until_us=until))
            if along is not None:
                await along(connection)
        return True

    async def find(self, account: str, token: str) -> Intent | None:
        """Return the one of a token; None when nothing was asked with it, or surely not made."""
        found = await self._found(intents.c.account == account, intents.c.token == token)
        return found[0] if found else None

    async def done(self, account: str, token: str, *ids: str) -> None:
        """Say that the cloud made it; the ids are kept, as those of things made here."""
        first = plain(ids[0]) if ids else None
        change = self._one(account, token).values(is_done=True, thing_id=first, holder=None)
        async with self._database.writing() as connection:
            row = (await connection.execute(change.returning(*intents.columns))).first()
            if row is None:
                return
            await self._others(connection, row, ids[1:])
            # What one of several things has is told of that one alone.
            if SEVERAL not in token:
                await self._holdings.held(account, token, *ids, connection=connection)
            # The inventory may have seen them before the answer came.
            seen = update(things).where(
                things.c.account == account,
                things.c.collection == row.collection,
                self._database.among(things.c.id, [plain(id) for id in ids]),
            )
            await connection.execute(seen.values(made_here=True))

    async def failed(self, account: str, token: str, begun_at: datetime | None = None) -> bool:
        """Forget it, since surely nothing was made. It stays when it was done before.

        With `begun_at` that is known of an attempt of then only. One that was begun before that and
        has no end yet may have made something: it is abandoned, and False is returned.
        """
        which = (intents.c.account == account, intents.c.token == token, ~intents.c.is_done)
        gone = delete(intents).where(*which)
        if begun_at is not None:
            gone = gone.where(intents.c.begun_us >= stored(begun_at))
        async with self._database.writing() as connection:
            row = (await connection.execute(gone.returning(*intents.columns))).first()
            if row is not None:
                await self._given_back(connection, row)
                return True
            left = update(intents).where(*which).values(until_us=0, holder=None)
            return (await connection.execute(left)).rowcount == 0

    async def found(self, account: str, token: str, *ids: str) -> None:
        """Say what an abandoned one has made: the cloud shows it, and nobody got the answer."""
        late = intents.c.until_us <= self._database.now_us()
        change = self._one(account, token).where(~intents.c.is_done, late)
        change = change.values(thing_id=plain(ids[0])).returning(*intents.columns)
        async with self._database.writing() as connection:
            if row := (await connection.execute(change)).first():
                await self._others(connection, row, ids[1:])
                await self._holdings.found(connection, account, token, *ids)

    async def unknown(self, account: str, token: str) -> None:
        """Say that the answer was lost: it is abandoned at once, so that somebody looks."""
        await self._change(account, token, until_us=0, holder=None)

    async def open_before(self, at: datetime) -> tuple[Intent, ...]:
        """Return those that were begun before this time and are not done, oldest first."""
        return await self._found(~intents.c.is_done, intents.c.begun_us < stored(at))

    async def abandoned(self, accounts: Collection[str] | None = None) -> tuple[Intent, ...]:
        """Return those that nobody works on and that are not done, oldest first."""
        which = [] if accounts is None else [intents.c.account.in_(list(accounts))]
        late = intents.c.until_us <= self._database.now_us()
        return await self._found(~intents.c.is_done, late, *which)

    async def take_over(self, account: str, token: str, holder: str, seconds: float) -> bool:
        """Take an abandoned one, to find out what became of it; False when another was quicker."""
        now = self._database.now_us()
        change = self._one(account, token).where(~intents.c.is_done, intents.c.until_us <= now)
        async with self._database.writing() as connection:
            taken = await connection.execute(
                change.values(holder=holder, until_us=now + micro(seconds))
            )
        return taken.rowcount == 1

    async def made(self, account: str, collection: str | None = None) -> tuple[Intent, ...]:
        """Return those of an account that are done."""
        which = [] if collection is None else [intents.c.collection == collection]
        return await self._found(intents.c.is_done, intents.c.account == account, *which)

    async def count_open(self, account: str) -> int:
        """Return how many of an account are not done: it must not be removed."""
        wish = select(func.count()).where(intents.c.account == account, ~intents.c.is_done)
        async with self._database.reading() as connection:
            return int((await connection.execute(wish)).scalar_one())

    async def forget(self, account: str, token: str) -> None:
        """Forget one, done or not: what it made is gone."""
        gone = delete(intents).where(intents.c.account == account, intents.c.token == token)
        async with self._database.writing() as connection:
            row = (await connection.execute(gone.returning(*intents.columns))).first()
            if row is not None:
                await self._given_back(connection, row)

    async def prune(self, before: datetime) -> int:
        """Forget what was made before this time and is not in the inventory any more."""
        here = (
            things.c.account == intents.c.account,
            things.c.collection == intents.c.collection,
            things.c.id == intents.c.thing_id,
        )
        gone = delete(intents).where(
            intents.c.is_done,
            intents.c.begun_us < stored(before),
            ~select(things.c.id).where(*here).exists(),
        )
        async with self._database.writing() as connection:
            return (await connection.execute(gone)).rowcount

    async def _others(self, connection: AsyncConnection, row: Row[Any], ids: Sequence[str]) -> None:
        """Keep the further things of a request, as the row of its first has it."""
        for id in ids:
            values = {
                **row._asdict(),
                "token": f"{row.token}{SEVERAL}{plain(id)}",
                "thing_id": plain(id),
            }
            written = self._database.insert(intents).values(values)
            same = [intents.c.account, intents.c.token]
            await connection.execute(
                written.on_conflict_do_update(index_elements=same, set_=values)
            )

    async def _given_back(self, connection: AsyncConnection, row: Row[Any]) -> None:
        """Give back what an intent that is no more has reserved, and what it made and is gone."""
        if row.thing_id is not None:
            place = (row.account, row.collection, row.thing_id)
            await self._holdings.gone(*place, connection=connection)
        if SEVERAL not in row.token:
            await self._holdings.released(row.account, row.token, connection=connection)

    async def _found(self, *conditions: Any) -> tuple[Intent, ...]:
        wish = select(intents).where(*conditions)
        wish = wish.order_by(intents.c.begun_us, intents.c.account, intents.c.token)
        async with self._database.reading() as connection:
            return tuple(_intent(row) for row in await connection.execute(wish))

    def _one(self, account: str, token: str) -> Update:
        return update(intents).where(intents.c.account == account, intents.c.token == token)

    async def _change(self, account: str, token: str, **values: Any) -> None:
        async with self._database.writing() as connection:
            await connection.execute(self._one(account, token).values(values))


def _intent(row: Row[Any]) -> Intent:
    return Intent(
        account=row.account,
        token=row.token,
        operation=row.operation,
        collection=row.collection,
        name=row.name,
        begun_at=moment(row.begun_us),
        holder=row.holder,
        until=moment(row.until_us),
        thing_id=row.thing_id,
        is_done=row.is_done,
    )
