"""How many results of checks were good and bad, by time; and what was done for bad ones."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.accounts import Problem
from nimbi.model.checks import ActionKind, TakenAction
from nimbi.store.database import Database
from nimbi.store.moments import micro, moment, stored
from nimbi.store.schema import check_actions, check_counts

MINUTE_US = 60 * 1_000_000
HOUR_US = 60 * MINUTE_US
# How long each grain is kept: minutes for burn rates, hours for the longest window.
KEPT_S = {MINUTE_US: 7 * 3600, HOUR_US: 92 * 86400}
ACTIONS_AGE = timedelta(days=30)

PROBLEM = msgspec.json.Decoder(Problem)


class Tally(NamedTuple):
    """How many results there were."""

    good: int
    bad: int


class CountStore:
    """The counts of all checks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, connection: AsyncConnection, id: str, at: datetime, good: bool) -> None:
        """Count one result."""
        for grain_us in KEPT_S:
            start_us = stored(at) // grain_us * grain_us
            new = self._database.insert(check_counts).values(
                check_id=id,
                grain_us=grain_us,
                start_us=start_us,
                good=int(good),
                bad=int(not good),
            )
            more = new.on_conflict_do_update(
                index_elements=list(check_counts.primary_key.columns),
                set_={
                    "good": check_counts.c.good + int(good),
                    "bad": check_counts.c.bad + int(not good),
                },
            )
            await connection.execute(more)

    async def tally(self, ids: Sequence[str], since: datetime, grain_us: int = HOUR_US) -> Tally:
        """Return how many results of these checks there were since a time, to within a grain."""
        wish = select(
            func.coalesce(func.sum(check_counts.c.good), 0),
            func.coalesce(func.sum(check_counts.c.bad), 0),
        ).where(
            check_counts.c.check_id.in_(list(ids)),
            check_counts.c.grain_us == grain_us,
            check_counts.c.start_us > stored(since) - grain_us,
        )
        async with self._database.reading() as connection:
            good, bad = (await connection.execute(wish)).one()
        return Tally(int(good), int(bad))

    async def prune(self, now: datetime) -> None:
        """Forget what is older than any window."""
        async with self._database.writing() as connection:
            for grain_us, seconds in KEPT_S.items():
                old = check_counts.c.start_us < stored(now) - micro(seconds)
                await connection.execute(
                    delete(check_counts).where(check_counts.c.grain_us == grain_us, old)
                )
            late = check_actions.c.at_us < stored(now - ACTIONS_AGE)
            await connection.execute(delete(check_actions).where(late))


class ActionStore:
    """What was done for things that do not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def times(
        self, connection: AsyncConnection, check: str, since: datetime
    ) -> tuple[datetime, ...]:
        """Return when something was done for a check since a time, the last first."""
        wish = select(check_actions.c.at_us).where(
            check_actions.c.check_id == check, check_actions.c.at_us >= stored(since)
        )
        rows = await connection.execute(wish.order_by(check_actions.c.at_us.desc()))
        return tuple(moment(row.at_us) for row in rows)

    async def want(self, connection: AsyncConnection, action: TakenAction) -> None:
        """Write down that something is to be done."""
        values = {
            "id": action.id,
            "check_id": action.check,
            "kind": action.kind.value,
            "at_us": stored(action.at),
            "is_started": False,
        }
        await connection.execute(insert(check_actions).values(values))

    async def wanted(self) -> tuple[TakenAction, ...]:
        """Return what is to be done and was not begun yet, the oldest first."""
        wish = select(check_actions).where(~check_actions.c.is_started)
        return await self._listed(wish.order_by(check_actions.c.at_us).limit(100))

    async def of(self, check: str) -> tuple[TakenAction, ...]:
        """Return what was done for a check, the last first."""
        wish = select(check_actions).where(check_actions.c.check_id == check)
        return await self._listed(wish.order_by(check_actions.c.at_us.desc()).limit(100))

    async def started(self, id: str, problem: Problem | None = None) -> None:
        """Say that it was begun, or why it never will be."""
        told = None if problem is None else msgspec.json.encode(problem)
        change = update(check_actions).where(check_actions.c.id == id)
        async with self._database.writing() as connection:
            await connection.execute(change.values(is_started=True, problem=told))

    async def _listed(self, wish: Any) -> tuple[TakenAction, ...]:
        async with self._database.reading() as connection:
            return tuple(_action(row) for row in await connection.execute(wish))


def _action(row: Row[Any]) -> TakenAction:
    return TakenAction(
        id=row.id,
        check=row.check_id,
        kind=ActionKind(row.kind),
        at=moment(row.at_us),
        is_started=row.is_started,
        problem=None if row.problem is None else PROBLEM.decode(row.problem),
    )
