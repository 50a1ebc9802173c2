"""Holdings: whose the things in clouds are, from before they are made until they are gone."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.errors import Conflict
from nimbi.model.holdings import RESOURCES, Amounts, Holding, HoldingState
from nimbi.store.database import Database
from nimbi.store.moments import moment, moment_or_none, stored
from nimbi.store.quotas import Path, QuotaStore
from nimbi.store.schema import holdings, intents, plain

RESERVED, HELD, RELEASED = HoldingState.RESERVED, HoldingState.HELD, HoldingState.RELEASED


class Holder(NamedTuple):
    """Who gets a thing: a user, and the tenants from the root to the one it acts in."""

    user: str
    path: Path


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """What is about to be made: `count` things of one request, each with these amounts.

    `since` is from when it is its tenant's; from now on, without it.
    """

    account: str
    token: str
    collection: str
    amounts: Amounts = Amounts()
    count: int = 1
    name: str | None = None
    kind: str | None = None
    since: datetime | None = None


class HoldingStore:
    """The holdings of all tenants. What changes them counts in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.quotas = QuotaStore(database)

    async def reserve(
        self,
        connection: AsyncConnection,
        holder: Holder,
        *wants: Want,
        job: str | None = None,
        is_checked: bool = True,
    ) -> None:
        """Take what is wanted out of the quotas, as part of somebody's transaction.

        What has the same account and token already is there and is not counted again, unless its
        size was not known then and is now. Raises QuotaExceeded, and Conflict for a token that is
        another tenant's; then the transaction must not go on.
        """
        await self.quotas.alone(connection)
        new: list[dict[str, Any]] = []
        total: dict[str, int] = {}
        for want in wants:
            known = await self.of_request(connection, want.account, want.token)
            if any(row.path != holder.path.stored for row in known.values()):
                raise Conflict("this token was used for something else")
            for number in range(want.count):
                row = known.get(number)
                if row is None or row.state == RELEASED:
                    new.append(_row(holder, want, number, job))
                    _add(total, want.amounts.counted())
                elif row.kind is None and want.kind is not None and row.state == RESERVED:
                    kind = {"kind": want.kind}
                    await self.change(connection, row, want.amounts, is_checked=is_checked, **kind)
        if not new:
            return
        await self.quotas.count(connection, holder.path, total, is_checked=is_checked)
        written = self._database.insert(holdings)
        # From its first request on a thing is its tenant's, also when that was given up meanwhile.
        values = {
            column.name: written.excluded[column.name]
            for column in holdings.columns
            if column.name != "created_us"
        }
        key = list(holdings.primary_key.columns)
        change = written.on_conflict_do_update(index_elements=key, set_=values)
        await connection.execute(change, new)

    async def held(
        self, account: str, token: str, *ids: str, connection: AsyncConnection | None = None
    ) -> None:
        """Say which things a request has made; what it reserved beyond them is given back."""
        if connection is None:
            async with self._database.writing() as own:
                return await self.held(account, token, *ids, connection=own)
        await self.quotas.alone(connection)
        known = await self.of_request(connection, account, token)
        rows = [row for _, row in sorted(known.items()) if row.state != RELEASED]
        for row, id in zip(rows, ids, strict=False):
            await self._hold(connection, row, id)
        return await self.give_back(connection, rows[len(ids) :])

    async def found(self, connection: AsyncConnection, account: str, token: str, *ids: str) -> None:
        """Say which things of a request a cloud shows; what is not there yet stays reserved."""
        await self.quotas.alone(connection)
        rows = await self.of_request(connection, account, token)
        known = {row.thing_id for row in rows.values() if row.state == HELD}
        free = [row for _, row in sorted(rows.items()) if row.state == RESERVED]
        new = [id for id in ids if plain(id) not in known]
        for row, id in zip(free, new, strict=False):
            # It may have another size by now than was asked for: it is to be measured.
            await self._hold(connection, row, id, kind=None)

    async def released(
        self, account: str, token: str, *, connection: AsyncConnection | None = None
    ) -> None:
        """Give back what a request reserved and made nothing of. What it made stays.

        What a job reserved for it stays the job's, which asks again; see `ended`.
        """
        if connection is None:
            async with self._database.writing() as own:
                return await self.released(account, token, connection=own)
        await self.quotas.alone(connection)
        known = await self.of_request(connection, account, token)
        return await self.give_back(
            connection,
            [row for row in known.values() if row.state == RESERVED and row.job is None],
        )

    async def ended(self, job: str, *, connection: AsyncConnection | None = None) -> None:
        """Give back what a job reserved and made nothing of: it has ended, however.

        What may have been made all the same stays reserved until that is known.
        """
        if connection is None:
            async with self._database.writing() as own:
                await self.ended(job, connection=own)
            return
        await self.quotas.alone(connection)
        its = (holdings.c.job == job, holdings.c.state == RESERVED)
        is_open = select(intents.c.token).where(
            intents.c.account == holdings.c.account,
            intents.c.token == holdings.c.token,
            ~intents.c.is_done,
        )
        wish = select(holdings).where(*its, ~is_open.exists())
        await self.give_back(connection, (await connection.execute(wish)).all())
        await connection.execute(update(holdings).where(*its).values(job=None))

    async def gone(
        self,
        account: str,
        collection: str,
        *ids: str,
        connection: AsyncConnection | None = None,
    ) -> None:
        """Give back what is no more in its cloud."""
        if connection is None:
            async with self._database.writing() as own:
                return await self.gone(account, collection, *ids, connection=own)
        await self.quotas.alone(connection)
        wish = select(holdings).where(*self._these(account, collection, ids))
        return await self.give_back(connection, (await connection.execute(wish)).all())

    async def left(self, connection: AsyncConnection, account: str) -> None:
        """Give back all that is in an account, which is forgotten."""
        await self.quotas.alone(connection)
        wish = select(holdings).where(holdings.c.account == account, holdings.c.state != RELEASED)
        await self.give_back(connection, (await connection.execute(wish)).all())

    async def row_of(
        self, connection: AsyncConnection, account: str, collection: str, id: str
    ) -> Row[Any] | None:
        """Return the holding of a thing, None when nobody holds it."""
        wish = select(holdings).where(*self._these(account, collection, [id]))
        return (await connection.execute(wish)).first()

    async def change(
        self,
        connection: AsyncConnection,
        row: Row[Any],
        amounts: Amounts,
        *,
        is_checked: bool = True,
        **values: Any,
    ) -> None:
        """Let a holding count for something else from now on; `values` are other columns.

        Whoever calls is alone with the quotas. Raises QuotaExceeded when `is_checked`: what is
        there already counts all the same.
        """
        more = dict(amounts.counted())
        _add(more, {name: -value for name, value in amounts_of(row).counted().items()})
        await self.quotas.count(connection, Path.of(row.path), more, is_checked=is_checked)
        new = {name: getattr(amounts, name) for name in RESOURCES}
        await connection.execute(one(row).values({**new, **values}))

    async def claim(
        self,
        connection: AsyncConnection,
        holder: Holder,
        want: Want,
        id: str,
        *,
        is_checked: bool = True,
    ) -> None:
        """Give a thing that is there to a tenant, whoever had it before.

        Raises QuotaExceeded when `is_checked`.
        """
        await self.quotas.alone(connection)
        row = await self.row_of(connection, want.account, want.collection, id)
        if row is None:
            await self.reserve(connection, holder, want, is_checked=is_checked)
            rows = await self.of_request(connection, want.account, want.token)
            await self._hold(connection, rows[0], id)
            return
        counted = amounts_of(row).counted()
        # First back, so that what both have above them is not counted twice.
        back = {name: -value for name, value in counted.items()}
        await self.quotas.count(connection, Path.of(row.path), back)
        await self.quotas.count(connection, holder.path, counted, is_checked=is_checked)
        change = one(row).values(
            tenant=holder.path.tenant,
            path=holder.path.stored,
            user=holder.user,
            # What it cost until now is the tenant's that had it.
            created_us=stored(want.since or datetime.now(UTC)),
        )
        await connection.execute(change)

    async def page(
        self,
        path: Path,
        *,
        account: str | None = None,
        collection: str | None = None,
        after: tuple[str, str, int] | None = None,
        limit: int = 100,
    ) -> tuple[Holding, ...]:
        """Return what a tenant and those below it have, or are about to have, page by page.

        `after` is account, token and number of the last one before.
        """
        wish = select(holdings).where(holdings.c.state != RELEASED, *within(path))
        if account is not None:
            wish = wish.where(holdings.c.account == account)
        if collection is not None:
            wish = wish.where(holdings.c.collection == collection)
        key = (holdings.c.account, holdings.c.token, holdings.c.number)
        if after is not None:
            wish = wish.where(tuple_(*key) > after)
        async with self._database.reading() as connection:
            rows = await connection.execute(wish.order_by(*key).limit(limit))
            return tuple(holding_of(row) for row in rows)

    async def prune(self, before: datetime) -> int:
        """Forget what was given back before this time."""
        old = (holdings.c.state == RELEASED, holdings.c.released_us < stored(before))
        async with self._database.writing() as connection:
            return (await connection.execute(delete(holdings).where(*old))).rowcount

    async def owner_of(self, account: str, collection: str, id: str) -> str | None:
        """Return which tenant has a thing, None when nobody made it here or took it."""
        path = await self.path_of(account, collection, id)
        return None if path is None else path.tenant

    async def path_of(self, account: str, collection: str, id: str) -> Path | None:
        """Return the tenants from the root to the one that has a thing, None when none has."""
        paths = await self.paths_of(account, collection, [id])
        return paths.get(plain(id))

    async def paths_of(self, account: str, collection: str, ids: Sequence[str]) -> dict[str, Path]:
        """Return who has these things; those that nobody has are left out."""
        wish = select(holdings.c.thing_id, holdings.c.path)
        async with self._database.reading() as connection:
            rows = await connection.execute(wish.where(*self._these(account, collection, ids)))
            return {row.thing_id: Path.of(row.path) for row in rows}

    async def count(self, collection: str, path: Path, most: int) -> int:
        """Return how many things a tenant and those below hold, as far as `most`."""
        wish = select(holdings.c.number).where(
            holdings.c.collection == collection, holdings.c.state == HELD, *within(path)
        )
        number = select(func.count()).select_from(wish.limit(most).subquery())
        async with self._database.reading() as connection:
            return int((await connection.execute(number)).scalar_one())

    async def of_request(
        self, connection: AsyncConnection, account: str, token: str
    ) -> dict[int, Row[Any]]:
        """Return all holdings of one request, given back or not, by their numbers."""
        wish = select(holdings).where(holdings.c.account == account, holdings.c.token == token)
        return {row.number: row for row in await connection.execute(wish)}

    async def _hold(
        self, connection: AsyncConnection, row: Row[Any], id: str, **values: Any
    ) -> None:
        # Some ids are names: one that was here before under this id is gone.
        before = select(holdings).where(
            *self._these(row.account, row.collection, [id]),
            (holdings.c.token != row.token) | (holdings.c.number != row.number),
        )
        await self.give_back(connection, (await connection.execute(before)).all())
        now_us = stored(datetime.now(UTC))
        values |= {"thing_id": id, "state": HELD, "held_us": now_us, "missed": 0}
        await connection.execute(one(row).values(values))

    async def give_back(self, connection: AsyncConnection, rows: Sequence[Row[Any]]) -> None:
        """Let holdings count no more; whoever calls is alone with the quotas."""
        now_us = stored(datetime.now(UTC))
        back: dict[str, dict[str, int]] = {}
        for row in rows:
            if row.state != RELEASED:
                _add(back.setdefault(row.path, {}), amounts_of(row).counted())
                values = {"state": RELEASED, "released_us": now_us}
                await connection.execute(one(row).values(values))
        for path, total in back.items():
            less = {name: -value for name, value in total.items()}
            await self.quotas.count(connection, Path.of(path), less)

    def _these(self, account: str, collection: str, ids: Sequence[str]) -> tuple[Any, ...]:
        return (
            holdings.c.account == account,
            holdings.c.collection == collection,
            self._database.among(holdings.c.thing_id, [plain(id) for id in ids]),
            holdings.c.state != RELEASED,
        )


def within(path: Path) -> tuple[Any, ...]:
    """Return the conditions that a holding is of a tenant or of those below it."""
    first = path.stored
    # The sign behind the slash: all paths that begin so are between.
    return holdings.c.path >= first, holdings.c.path < first[:-1] + "0"


def amounts_of(row: Row[Any]) -> Amounts:
    """Return what a holding counts for."""
    return Amounts(**{name: getattr(row, name) for name in RESOURCES})


def holding_of(row: Row[Any]) -> Holding:
    """Return the holding that is kept in a row."""
    return Holding(
        account=row.account,
        token=row.token,
        number=row.number,
        tenant=row.tenant,
        user=row.user,
        collection=row.collection,
        thing_id=row.thing_id,
        name=row.name,
        kind=row.kind,
        state=HoldingState(row.state),
        amounts=amounts_of(row),
        job=row.job,
        created_at=moment(row.created_us),
        released_at=moment_or_none(row.released_us),
    )


def _row(holder: Holder, want: Want, number: int, job: str | None) -> dict[str, Any]:
    return {
        "account": want.account,
        "token": want.token,
        "number": number,
        "tenant": holder.path.tenant,
        "path": holder.path.stored,
        "user": holder.user,
        "job": job,
        "collection": want.collection,
        "thing_id": None,
        "name": want.name,
        "kind": want.kind,
        "state": RESERVED,
        **{name: getattr(want.amounts, name) for name in RESOURCES},
        "missed": 0,
        "missed_us": 0,
        "created_us": stored(want.since or datetime.now(UTC)),
        "held_us": None,
        "released_us": None,
    }


def one(row: Row[Any]) -> Any:
    """Return the UPDATE of one holding."""
    return update(holdings).where(
        holdings.c.account == row.account,
        holdings.c.token == row.token,
        holdings.c.number == row.number,
    )


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value
