"""Schedules: when jobs begin by themselves, each due time once over all processes."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.errors import Conflict, NotFound
from nimbi.model.people import Owner
from nimbi.model.schedules import Schedule
from nimbi.store.database import Database
from nimbi.store.moments import moment, moment_or_none, stored, stored_or_none
from nimbi.store.schema import firings, schedules
from nimbi.store.sealing import Sealed

OWNER = msgspec.json.Decoder(Owner)

# The due time that counted last of each schedule.
LAST = (
    select(firings.c.schedule, func.max(firings.c.due_us).label("due_us"))
    .group_by(firings.c.schedule)
    .subquery()
)
ALL = (
    select(schedules, firings.c.due_us, firings.c.job, firings.c.problem)
    .outerjoin(LAST, LAST.c.schedule == schedules.c.id)
    .outerjoin(
        firings, (firings.c.schedule == LAST.c.schedule) & (firings.c.due_us == LAST.c.due_us)
    )
)


class Due(NamedTuple):
    """A schedule that is due, what it begins, and the time of the database's clock."""

    schedule: Schedule
    sealed: Sealed
    now: datetime


def bound_to(id: str) -> str:
    """Return the name for which a schedule's arguments are sealed."""
    return f"schedule/{id}"


class ScheduleStore:
    """The schedules, and which of their times have counted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, schedule: Schedule, sealed: Sealed) -> None:
        """Keep a new one. Raises Conflict for an id in use."""
        values = {
            "id": schedule.id,
            "kind": schedule.kind,
            "title": schedule.title,
            "user": schedule.owner.user,
            "tenant": schedule.owner.tenant,
            "owner": msgspec.json.encode(schedule.owner),
            "cron": schedule.cron,
            "time_zone": schedule.time_zone,
            "at_us": stored_or_none(schedule.at),
            "late_s": schedule.late_s,
            "is_enabled": schedule.is_enabled,
            "created_us": stored(schedule.created_at),
            "next_us": stored_or_none(schedule.next_at),
            "sealed": sealed.body,
            "key_id": sealed.key_id,
        }
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(schedules).values(values))
        except IntegrityError as error:
            raise Conflict(f"there is a schedule {schedule.id!r} already") from error

    async def list(self, tenants: Collection[str] | None = None) -> tuple[Schedule, ...]:
        """Return all, or those of some tenants, in the order in which they were made."""
        wish = ALL.order_by(schedules.c.created_us, schedules.c.id)
        if tenants is not None:
            wish = wish.where(schedules.c.tenant.in_(list(tenants)))
        async with self._database.reading() as connection:
            return tuple(_schedule(row) for row in await connection.execute(wish))

    async def get(self, id: str) -> Schedule:
        """Return one. Raises NotFound."""
        return _schedule(await self._row(id))

    async def sealed(self, id: str) -> Sealed:
        """Return the sealed arguments of one. Raises NotFound."""
        row = await self._row(id)
        return Sealed(row.key_id, row.sealed)

    async def change(self, old: Schedule, new: Schedule) -> None:
        """Put one in the place of what it was. Raises NotFound, and Conflict if it was due now."""
        change = update(schedules).where(
            schedules.c.id == old.id,
            schedules.c.next_us.is_not_distinct_from(stored_or_none(old.next_at)),
        )
        change = change.values(
            title=new.title,
            cron=new.cron,
            time_zone=new.time_zone,
            at_us=stored_or_none(new.at),
            late_s=new.late_s,
            is_enabled=new.is_enabled,
            next_us=stored_or_none(new.next_at),
        )
        async with self._database.writing() as connection:
            done = await connection.execute(change)
        if not done.rowcount:
            await self._row(old.id)
            raise Conflict("the schedule was due just now; try again")

    async def remove(self, id: str) -> None:
        """Forget one, and which of its times have counted. Raises NotFound."""
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(schedules).where(schedules.c.id == id))
            await connection.execute(delete(firings).where(firings.c.schedule == id))
        if not gone.rowcount:
            raise missing(id)

    async def now(self) -> datetime:
        """Return the time of the clock by which schedules are due."""
        async with self._database.reading() as connection:
            return moment((await connection.execute(select(self._database.now_us()))).scalar_one())

    async def next_at(self) -> datetime | None:
        """Return when the next one is due."""
        wish = select(func.min(schedules.c.next_us)).where(schedules.c.is_enabled)
        async with self._database.reading() as connection:
            return moment_or_none((await connection.execute(wish)).scalar())

    async def due(self, limit: int = 50) -> tuple[Due, ...]:
        """Return up to `limit` that are due, the longest due first."""
        now = self._database.now_us()
        wish = ALL.add_columns(now.label("now_us"))
        wish = wish.where(schedules.c.is_enabled, schedules.c.next_us <= now)
        wish = wish.order_by(schedules.c.next_us, schedules.c.id).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(wish)).all()
        return tuple(
            Due(_schedule(row), Sealed(row.key_id, row.sealed), moment(row.now_us)) for row in rows
        )

    async def fire(
        self,
        connection: AsyncConnection,
        schedule: Schedule,
        due: datetime,
        next_at: datetime | None,
        *,
        job: str | None,
        problem: str | None = None,
    ) -> None:
        """Say within a transaction that a due time counts, and when the next one is.

        Raises Conflict, so that the transaction ends, when it has counted before or the schedule
        is another by now.
        """
        counted = self._database.insert(firings).values(
            schedule=schedule.id,
            due_us=stored(due),
            fired_us=self._database.now_us(),
            job=job,
            problem=problem,
        )
        row = await connection.execute(counted.on_conflict_do_nothing().returning(firings.c.due_us))
        moved = update(schedules).where(
            schedules.c.id == schedule.id,
            schedules.c.next_us == stored_or_none(schedule.next_at),
            schedules.c.is_enabled,
        )
        moved = moved.values(next_us=stored_or_none(next_at))
        is_first = row.scalar() is not None
        if not is_first or (await connection.execute(moved)).rowcount != 1:
            raise Conflict(f"{schedule.id} was due at {due}, and that has counted")

    async def leave_out(
        self, schedule: Schedule, due: datetime, next_at: datetime | None, problem: str
    ) -> None:
        """Say that a due time counts without a job, and why. Raises Conflict as `fire` does."""
        async with self._database.writing() as connection:
            await self.fire(connection, schedule, due, next_at, job=None, problem=problem)

    async def last_job(self, id: str) -> str | None:
        """Return the job that a schedule began last, None when it never began any."""
        wish = select(firings.c.job).where(firings.c.schedule == id, firings.c.job.is_not(None))
        wish = wish.order_by(firings.c.due_us.desc()).limit(1)
        async with self._database.reading() as connection:
            found: str | None = (await connection.execute(wish)).scalar()
        return found

    async def prune(self, before: datetime) -> None:
        """Forget which times have counted before this, but of each schedule the last."""
        old = delete(firings).where(
            firings.c.fired_us < stored(before),
            firings.c.due_us
            < select(LAST.c.due_us).where(LAST.c.schedule == firings.c.schedule).scalar_subquery(),
        )
        async with self._database.writing() as connection:
            await connection.execute(old)

    async def _row(self, id: str) -> Row[Any]:
        async with self._database.reading() as connection:
            row = (await connection.execute(ALL.where(schedules.c.id == id))).first()
        if row is None:
            raise missing(id)
        return row


def missing(id: str) -> NotFound:
    """Return what is raised when there is no schedule of this id."""
    return NotFound(f"there is no schedule {id!r}")


def _schedule(row: Row[Any]) -> Schedule:
    return Schedule(
        id=row.id,
        kind=row.kind,
        title=row.title,
        owner=OWNER.decode(row.owner),
        cron=row.cron,
        time_zone=row.time_zone,
        at=moment_or_none(row.at_us),
        late_s=row.late_s,
        is_enabled=row.is_enabled,
        created_at=moment(row.created_us),
        next_at=moment_or_none(row.next_us),
        last_at=moment_or_none(row.due_us),
        last_job=row.job,
        problem=row.problem,
    )
