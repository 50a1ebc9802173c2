"""Objectives, and which process looks at each."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.errors import NotFound
from nimbi.model.objectives import NewObjective, Objective
from nimbi.model.people import Owner
from nimbi.store.database import Database
from nimbi.store.moments import micro, moment, stored
from nimbi.store.schema import objectives

WISH = msgspec.json.Decoder(NewObjective)


class DueObjective(NamedTuple):
    """An objective to be looked at now, held by whoever got this until `until_us`."""

    objective: Objective
    until_us: int


class ObjectiveStore:
    """The objectives; how they stand is counted when somebody asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, objective: Objective, wish: NewObjective, owner: Owner) -> None:
        """Keep a new one."""
        values = {
            "id": objective.id,
            "tenant": objective.tenant,
            "owner": msgspec.json.encode(owner),
            "name": objective.name,
            "wish": msgspec.json.encode(msgspec.structs.replace(wish, token=None)),
            "created_us": stored(objective.created_at),
            "next_us": 0,
            "until_us": 0,
        }
        async with self._database.writing() as connection:
            await connection.execute(insert(objectives).values(values))

    async def list(self) -> tuple[Objective, ...]:
        """Return all in the order in which they were made; their standing is not counted."""
        wish = select(objectives).order_by(objectives.c.created_us, objectives.c.id)
        async with self._database.reading() as connection:
            return tuple(_objective(row) for row in await connection.execute(wish))

    async def get(self, id: str) -> Objective:
        """Return one; its standing is not counted. Raises NotFound."""
        wish = select(objectives).where(objectives.c.id == id)
        async with self._database.reading() as connection:
            row = (await connection.execute(wish)).first()
        if row is None:
            raise missing(id)
        return _objective(row)

    async def count(self, tenant: str) -> int:
        """Return how many a tenant has."""
        wish = select(func.count()).where(objectives.c.tenant == tenant)
        async with self._database.reading() as connection:
            return int((await connection.execute(wish)).scalar_one())

    async def remove(self, connection: AsyncConnection, id: str) -> None:
        """Forget one, in somebody's transaction. Raises NotFound."""
        gone = await connection.execute(delete(objectives).where(objectives.c.id == id))
        if not gone.rowcount:
            raise missing(id)

    async def due(self, holder: str, seconds: float, limit: int) -> tuple[DueObjective, ...]:
        """Take up to `limit` whose time has come and that are not held, for so many seconds."""
        now = self._database.now_us()
        ready = (objectives.c.next_us <= now, objectives.c.until_us <= now)
        async with self._database.reading() as connection:
            # Nearly always nothing is due: that costs no transaction.
            first = select(objectives.c.id).where(*ready).limit(1)
            if (await connection.execute(first)).first() is None:
                return ()
        some = select(objectives.c.id).where(*ready).order_by(objectives.c.next_us)
        some = some.limit(limit).with_for_update(skip_locked=True)
        take = update(objectives).where(objectives.c.id.in_(some))
        take = take.values(holder=holder, until_us=now + micro(seconds))
        async with self._database.writing() as connection:
            rows = (await connection.execute(take.returning(objectives))).all()
        return tuple(DueObjective(_objective(row), row.until_us) for row in rows)

    async def looked_at(
        self, connection: AsyncConnection, holder: str, due: DueObjective, next_at: datetime
    ) -> bool:
        """Give one back until its next time; False when another has taken it."""
        change = update(objectives).where(
            objectives.c.id == due.objective.id,
            objectives.c.holder == holder,
            objectives.c.until_us == due.until_us,
        )
        values = {"next_us": stored(next_at), "until_us": 0}
        return (await connection.execute(change.values(values))).rowcount == 1


def missing(id: str) -> NotFound:
    """Return what is raised when there is no objective of this id."""
    return NotFound(f"there is no objective {id!r}")


def _objective(row: Row[Any]) -> Objective:
    wish = WISH.decode(row.wish)
    return Objective(
        id=row.id,
        name=row.name,
        tenant=row.tenant,
        checks=wish.checks,
        target_percent=wish.target_percent,
        window_days=wish.window_days,
        emails=wish.emails,
        created_at=moment(row.created_us),
    )
