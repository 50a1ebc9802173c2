"""Health checks: what is looked after, what was found, and which process looks next."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.accounts import Problem
from nimbi.model.checks import CheckState, HealthCheck, NewCheck
from nimbi.model.errors import NotFound
from nimbi.model.people import Owner
from nimbi.store.database import Database
from nimbi.store.moments import micro, moment, moment_or_none, stored
from nimbi.store.schema import check_actions, check_counts, checks

WISH = msgspec.json.Decoder(NewCheck)
OWNER = msgspec.json.Decoder(Owner)
PROBLEM = msgspec.json.Decoder(Problem)


class Due(NamedTuple):
    """A check that is to be made now, held by whoever got this until `until_us`.

    `streak` is how many results in a row were other than the check's state.
    """

    check: HealthCheck
    owner: Owner
    streak: int
    until_us: int


class Found(NamedTuple):
    """What is known of a check after a result. `at` is when it was asked."""

    state: CheckState
    streak: int
    at: datetime
    took_s: float | None
    problem: Problem | None


class CheckStore:
    """The checks, and the leases by which one process makes each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, check: HealthCheck, wish: NewCheck, owner: Owner) -> None:
        """Keep a new one, to be made at once."""
        values = {
            "id": check.id,
            "tenant": check.tenant,
            "owner": msgspec.json.encode(owner),
            "created_us": stored(check.created_at),
            "is_enabled": True,
            "state": CheckState.UNKNOWN.value,
            "streak": 0,
            "next_us": 0,
            "until_us": 0,
            **_wished(wish),
        }
        async with self._database.writing() as connection:
            await connection.execute(insert(checks).values(values))

    async def list(self, account: str | None = None) -> tuple[HealthCheck, ...]:
        """Return all, or those of an account, in the order in which they were made."""
        wish = select(checks).order_by(checks.c.created_us, checks.c.id)
        if account is not None:
            wish = wish.where(checks.c.account == account)
        async with self._database.reading() as connection:
            return tuple(_check(row) for row in await connection.execute(wish))

    async def of_instance(self, account: str, instance_id: str) -> tuple[HealthCheck, ...]:
        """Return the checks of one instance that are enabled."""
        same = (checks.c.account == account, checks.c.instance_id == instance_id)
        wish = select(checks).where(*same, checks.c.is_enabled).order_by(checks.c.id)
        async with self._database.reading() as connection:
            return tuple(_check(row) for row in await connection.execute(wish))

    async def get(self, id: str) -> HealthCheck:
        """Return one. Raises NotFound."""
        return _check(await self._row(id))

    async def owner(self, id: str) -> Owner:
        """Return who made one. Raises NotFound."""
        return OWNER.decode((await self._row(id)).owner)

    async def count(self, tenant: str) -> int:
        """Return how many a tenant has."""
        wish = select(func.count()).where(checks.c.tenant == tenant)
        async with self._database.reading() as connection:
            return int((await connection.execute(wish)).scalar_one())

    async def set_enabled(self, id: str, is_enabled: bool) -> HealthCheck:
        """Enable one, which begins as if it were new, or disable it. Raises NotFound."""
        values: dict[str, Any] = {"is_enabled": is_enabled, **_anew()}
        change = update(checks).where(checks.c.id == id).values(values).returning(checks)
        async with self._database.writing() as connection:
            row = (await connection.execute(change)).first()
        if row is None:
            raise missing(id)
        return _check(row)

    async def remove(self, connection: AsyncConnection, id: str) -> None:
        """Forget one and its results, in somebody's transaction. Raises NotFound."""
        gone = await connection.execute(delete(checks).where(checks.c.id == id))
        if not gone.rowcount:
            raise missing(id)
        for table in (check_counts, check_actions):
            await connection.execute(delete(table).where(table.c.check_id == id))

    async def moved(self, old: tuple[str, str], new: tuple[str, str]) -> int:
        """Let the checks of one instance (account, id) be those of another; return how many."""
        same = (checks.c.account == old[0], checks.c.instance_id == old[1])
        async with self._database.writing() as connection:
            rows = (await connection.execute(select(checks).where(*same))).all()
            for row in rows:
                wish = WISH.decode(row.wish)
                wish = msgspec.structs.replace(wish, account=new[0], instance_id=new[1])
                one = update(checks).where(checks.c.id == row.id)
                await connection.execute(one.values({**_wished(wish), **_anew(row.state)}))
        return len(rows)

    async def due(self, holder: str, seconds: float, limit: int) -> Sequence[Due]:
        """Take up to `limit` whose time has come and that are not held, for so many seconds."""
        now = self._database.now_us()
        ready = (checks.c.is_enabled, checks.c.next_us <= now, checks.c.until_us <= now)
        async with self._database.reading() as connection:
            # Nearly always nothing is due: that costs no transaction.
            first = select(checks.c.id).where(*ready).limit(1)
            if (await connection.execute(first)).first() is None:
                return []
        some = select(checks.c.id).where(*ready).order_by(checks.c.next_us, checks.c.id)
        some = some.limit(limit).with_for_update(skip_locked=True)
        take = update(checks).where(checks.c.id.in_(some))
        take = take.values(holder=holder, until_us=now + micro(seconds))
        async with self._database.writing() as connection:
            rows = (await connection.execute(take.returning(checks))).all()
        return [Due(_check(row), OWNER.decode(row.owner), row.streak, row.until_us) for row in rows]

    async def found(self, connection: AsyncConnection, holder: str, due: Due, found: Found) -> bool:
        """Keep what was found, and give the check back until its next time.

        False, and nothing changed, when another has taken it, or it was changed meanwhile.
        """
        now = self._database.now_us()
        # In the same rhythm as before: checks do not drift. But not at once when it is late.
        rhythm = checks.c.next_us + checks.c.every_us
        next_us = case((rhythm > now, rhythm), else_=now + checks.c.every_us)
        at_us = stored(found.at)
        values: dict[str, Any] = {
            "state": found.state.value,
            "streak": found.streak,
            "checked_us": at_us,
            "took_us": None if found.took_s is None else micro(found.took_s),
            "problem": None if found.problem is None else msgspec.json.encode(found.problem),
            "next_us": next_us,
            "until_us": 0,
        }
        if found.state is not due.check.state:
            values["since_us"] = at_us
        change = update(checks).where(
            checks.c.id == due.check.id,
            checks.c.holder == holder,
            checks.c.until_us == due.until_us,
            checks.c.is_enabled,
        )
        return (await connection.execute(change.values(values))).rowcount == 1

    async def give_back(self, holder: str, due: Due) -> None:
        """Give a check back that was not made, for others to make at once."""
        change = update(checks).where(
            checks.c.id == due.check.id,
            checks.c.holder == holder,
            checks.c.until_us == due.until_us,
        )
        async with self._database.writing() as connection:
            await connection.execute(change.values(until_us=0))

    async def _row(self, id: str) -> Row[Any]:
        async with self._database.reading() as connection:
            row = (await connection.execute(select(checks).where(checks.c.id == id))).first()
        if row is None:
            raise missing(id)
        return row


def missing(id: str) -> NotFound:
    """Return what is raised when there is no check of this id."""
    return NotFound(f"there is no check {id!r}")


def _wished(wish: NewCheck) -> dict[str, Any]:
    return {
        "name": wish.name,
        "account": wish.account,
        "instance_id": wish.instance_id or "",
        "wish": msgspec.json.encode(msgspec.structs.replace(wish, token=None)),
        "every_us": micro(wish.every_s),
    }


def _anew(state: str = CheckState.UNKNOWN.value) -> dict[str, Any]:
    """Return what makes a check begin anew; whoever makes it just now does so in vain."""
    return {"state": state, "streak": 0, "problem": None, "next_us": 0, "until_us": 0}


def _check(row: Row[Any]) -> HealthCheck:
    wish = WISH.decode(row.wish)
    return HealthCheck(
        id=row.id,
        name=row.name,
        tenant=row.tenant,
        account=row.account,
        instance_id=row.instance_id or None,
        probe=wish.probe,
        every_s=wish.every_s,
        failures=wish.failures,
        successes=wish.successes,
        emails=wish.emails,
        action=wish.action,
        is_enabled=row.is_enabled,
        created_at=moment(row.created_us),
        state=CheckState(row.state),
        since=moment_or_none(row.since_us),
        checked_at=moment_or_none(row.checked_us),
        took_s=None if row.took_us is None else row.took_us / 1e6,
        problem=None if row.problem is None else PROBLEM.decode(row.problem),
    )
