"""Jobs as they are kept: who does one, how far it is, what it told, and how it ended."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, and_, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.accounts import Problem
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.inventory import EventKind
from nimbi.model.jobs import ENDS, Job, JobFilter, JobState, LogLine
from nimbi.model.people import Owner
from nimbi.store.database import Database
from nimbi.store.events import Change, append
from nimbi.store.moments import moment, moment_or_none, stored, stored_or_none
from nimbi.store.schema import job_lines, jobs, leases, plain
from nimbi.store.sealing import Keyring, Sealed

COLLECTION = "jobs"
UNFINISHED = tuple(state.value for state in JobState if state not in ENDS)
ENDED = tuple(state.value for state in ENDS)
MOST_LINES = 10_000

# What else is written in the transaction that starts a job, for its id, and in that of its end.
Along = Callable[[AsyncConnection, str], Awaitable[None]]
Settle = Callable[[AsyncConnection, Job], Awaitable[None]]


@dataclass(frozen=True)
class Hold:
    """A worker slot as one process holds it: the lease's name and its fence."""

    name: str
    fence: int


@dataclass(frozen=True)
class Adopted:
    """A job that was taken up; `fence` is whose steps count from now on."""

    job: Job
    fence: int
    arguments: bytes


@dataclass(frozen=True)
class Standing:
    """Whether a job is still to be done by this one, and whether it is to end early."""

    is_ours: bool
    is_cancelled: bool


def bound_to(id: str) -> str:
    """Return the name that the arguments of a job are sealed for."""
    return f"job/{id}"


class JobStore:
    """The jobs by their ids. Each change of one is an event of the collection `jobs`.

    `turn` writes down that a job begins or has ended, last of all in the transaction of that.
    """

    def __init__(self, database: Database, keyring: Keyring, turn: Settle | None = None) -> None:
        self._turn = turn
        self._database = database
        self._keyring = keyring

    async def add(
        self, job: Job, arguments: bytes, *, hold: Hold | None = None, along: Along | None = None
    ) -> tuple[Job, bool]:
        """Keep a new job, with what `along` writes; it is on the disk when this returns.

        Returns it and True; what is there and False for an id that is taken, and `along` is not
        asked then. `hold` is who does it, None for whoever comes.
        """
        sealed = self._keyring.seal(arguments, bound_to(job.id))
        values = {
            **_columns(job),
            "slot": hold.name if hold else None,
            "slot_fence": hold.fence if hold else None,
            "fence": 0,
            "sealed": sealed.body,
            "key_id": sealed.key_id,
        }
        new = self._database.insert(jobs).values(values).on_conflict_do_nothing()
        async with self._database.writing() as connection:
            made = await connection.execute(new.returning(jobs.c.id))
            is_new = made.first() is not None
            if is_new:
                if along is not None:
                    await along(connection, job.id)
                await _tell(connection, EventKind.APPEARED, job)
        return (job, True) if is_new else (await self.get(job.id), False)

    async def get(self, id: str) -> Job:
        """Return a job. Raises NotFound."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(jobs).where(jobs.c.id == id))).first()
        if row is None:
            raise NotFound(f"there is no job {id[:100]!r}")
        return _job(row)

    async def page(
        self, filter: JobFilter, marker: str | None, limit: int
    ) -> tuple[tuple[Job, ...], str | None]:
        """Return up to `limit` jobs, the newest first, and the marker of the next page.

        Raises Invalid for a marker that was not given out here.
        """
        wish = select(jobs).where(*_conditions(filter, marker))
        wish = wish.order_by(jobs.c.created_us.desc(), jobs.c.id.desc()).limit(limit + 1)
        async with self._database.reading() as connection:
            rows = list(await connection.execute(wish))
        last = rows[limit - 1] if len(rows) > limit else None
        found = tuple(_job(row) for row in rows[:limit])
        return found, None if last is None else f"{last.created_us}-{last.id}"

    async def lines(self, id: str, limit: int = MOST_LINES) -> tuple[LogLine, ...]:
        """Return what a job told, oldest first."""
        wish = select(job_lines).where(job_lines.c.job == id)
        wish = wish.order_by(job_lines.c.at_us, job_lines.c.digest).limit(limit)
        async with self._database.reading() as connection:
            rows = list(await connection.execute(wish))
        return tuple(LogLine(at=moment(row.at_us), text=row.text) for row in rows)

    async def counts(self) -> dict[JobState, int]:
        """Return how many jobs there are in each state that is no end."""
        wish = select(jobs.c.state).where(jobs.c.state.in_(UNFINISHED))
        counts: dict[JobState, int] = {}
        async with self._database.reading() as connection:
            for (state,) in await connection.execute(wish):
                counts[JobState(state)] = counts.get(JobState(state), 0) + 1
        return counts

    async def waiting(self, kinds: Collection[str]) -> tuple[str, ...]:
        """Return the unfinished jobs of these kinds that nobody does, oldest first."""
        wish = select(jobs.c.id).where(
            jobs.c.state.in_(UNFINISHED), jobs.c.kind.in_(list(kinds)), ~self._is_alive()
        )
        async with self._database.reading() as connection:
            return tuple((await connection.execute(wish.order_by(jobs.c.created_us))).scalars())

    async def of(self, hold: Hold) -> dict[str, JobState]:
        """Return the unfinished jobs of a slot with their states, oldest first."""
        wish = select(jobs.c.id, jobs.c.state).where(
            jobs.c.state.in_(UNFINISHED), jobs.c.slot == hold.name, jobs.c.slot_fence == hold.fence
        )
        async with self._database.reading() as connection:
            rows = await connection.execute(wish.order_by(jobs.c.created_us))
            return {row.id: JobState(row.state) for row in rows}

    async def unfinished(self, ids: Collection[str]) -> frozenset[str]:
        """Return those of these jobs that have not ended."""
        named = self._database.among(jobs.c.id, list(ids))
        wish = select(jobs.c.id).where(jobs.c.state.in_(UNFINISHED), named)
        async with self._database.reading() as connection:
            return frozenset((await connection.execute(wish)).scalars())

    async def claim(self, id: str, hold: Hold) -> bool:
        """Take over a job that nobody does; False when another was quicker, or it has ended."""
        change = update(jobs).where(
            jobs.c.id == id, jobs.c.state.in_(UNFINISHED), ~self._is_alive()
        )
        async with self._database.writing() as connection:
            done = await connection.execute(change.values(slot=hold.name, slot_fence=hold.fence))
        return done.rowcount == 1

    async def adopt(self, id: str, hold: Hold) -> Adopted | None:
        """Begin, or go on with, a job of this slot; None when it has ended or is another's.

        All steps that were begun under an older fence are refused from now on. Raises SealError.
        """
        mine = and_(jobs.c.slot == hold.name, jobs.c.slot_fence == hold.fence)
        change = update(jobs).where(jobs.c.id == id, jobs.c.state.in_(UNFINISHED), mine)
        async with self._database.writing() as connection:
            taken = change.values(fence=jobs.c.fence + 1).returning(*jobs.columns)
            row = (await connection.execute(taken)).first()
            if row is None:
                return None
            if row.state == JobState.QUEUED.value:
                begun = (
                    update(jobs)
                    .where(jobs.c.id == id)
                    .values(state=JobState.RUNNING.value, started_us=self._database.now_us())
                )
                row = (await connection.execute(begun.returning(*jobs.columns))).one()
                await _tell(connection, EventKind.CHANGED, _job(row))
                await self._turned(connection, _job(row))
        sealed = Sealed(row.key_id, row.sealed)
        return Adopted(_job(row), row.fence, self._keyring.open(sealed, bound_to(id)))

    async def standing(self, id: str, fence: int) -> Standing:
        """Return whether a job is still to be done under this fence, and whether to its end."""
        wish = select(jobs.c.state, jobs.c.fence).where(jobs.c.id == id)
        async with self._database.reading() as connection:
            row = (await connection.execute(wish)).first()
        is_ours = row is not None and row.fence == fence and row.state in UNFINISHED
        is_cancelled = row is not None and row.state == JobState.CANCELLING.value
        return Standing(is_ours, is_cancelled)

    async def progress(
        self,
        id: str,
        fence: int,
        *,
        percent: int,
        phase: str,
        activity: str,
        estimate_at: datetime | None,
    ) -> None:
        """Keep how far a job is. What an older fence says is not kept."""
        change = update(jobs).where(
            jobs.c.id == id, jobs.c.fence == fence, jobs.c.state.in_(UNFINISHED)
        )
        change = change.values(
            percent=percent,
            phase=phase,
            activity=activity,
            estimate_us=stored_or_none(estimate_at),
        )
        async with self._database.writing() as connection:
            row = (await connection.execute(change.returning(*jobs.columns))).first()
            if row is not None:
                await _tell(connection, EventKind.CHANGED, _job(row))

    async def tell(self, id: str, text: str, number: int) -> None:
        """Keep a line of a job's log; `number` tells how often it said the same before."""
        text = plain(text)
        digest = blake2b(f"{number}\n{text}".encode(), digest_size=16).hexdigest()
        new = self._database.insert(job_lines).values(
            job=id, digest=digest, at_us=self._database.now_us(), text=text
        )
        async with self._database.writing() as connection:
            await connection.execute(new.on_conflict_do_nothing())

    async def cancel(self, id: str) -> Job:
        """Have a job end early, after it has cleaned up; one that has ended stays as it is.

        Raises NotFound.
        """
        change = update(jobs).where(
            jobs.c.id == id, jobs.c.state.in_((JobState.QUEUED.value, JobState.RUNNING.value))
        )
        change = change.values(state=JobState.CANCELLING.value).returning(*jobs.columns)
        async with self._database.writing() as connection:
            row = (await connection.execute(change)).first()
            if row is not None:
                await _tell(connection, EventKind.CHANGED, _job(row))
        return await self.get(id) if row is None else _job(row)

    async def finish(
        self,
        id: str,
        fence: int,
        state: JobState,
        *,
        result: bytes | None = None,
        error: Problem | None = None,
        settle: Settle | None = None,
    ) -> Job | None:
        """Keep a job's end, with what `settle` writes; None when it is another's or has ended."""
        change = update(jobs).where(
            jobs.c.id == id, jobs.c.fence == fence, jobs.c.state.in_(UNFINISHED)
        )
        values: dict[str, Any] = {
            "state": state.value,
            "ended_us": self._database.now_us(),
            "estimate_us": None,
            "result": result,
            "error": None if error is None else msgspec.json.encode(error),
            # What was asked for may hold secrets, and nobody needs it any more.
            "sealed": None,
            "key_id": None,
        }
        if state is JobState.DONE:
            values |= {"percent": 100, "activity": ""}
        async with self._database.writing() as connection:
            row = (await connection.execute(change.values(values).returning(*jobs.columns))).first()
            if row is None:
                return None
            job = _job(row)
            if settle is not None:
                await settle(connection, job)
            await _tell(connection, EventKind.CHANGED, job)
            await self._turned(connection, job)
        return job

    async def prune(self, before: datetime, *, most: int = 1000) -> tuple[str, ...]:
        """Forget up to `most` jobs that ended before this time, with their logs."""
        old = select(jobs.c.id).where(jobs.c.state.in_(ENDED), jobs.c.ended_us < stored(before))
        async with self._database.writing() as connection:
            ids = list((await connection.execute(old.limit(most))).scalars())
            if ids:
                lines = delete(job_lines).where(self._database.among(job_lines.c.job, ids))
                await connection.execute(lines)
                await connection.execute(delete(jobs).where(self._database.among(jobs.c.id, ids)))
        return tuple(ids)

    async def _turned(self, connection: AsyncConnection, job: Job) -> None:
        if self._turn is not None:
            await self._turn(connection, job)

    def _is_alive(self) -> ColumnElement[bool]:
        """Return the condition that the slot of a job is held by who had it when it took it up."""
        return exists().where(
            leases.c.name == jobs.c.slot,
            leases.c.fence == jobs.c.slot_fence,
            leases.c.until_us > self._database.now_us(),
        )


def new_job(id: str, kind: str, title: str, owner: Owner) -> Job:
    """Return a job that nobody has begun."""
    return Job(
        id=id,
        kind=kind,
        title=plain(title),
        owner=owner,
        state=JobState.QUEUED,
        created_at=datetime.now(UTC),
    )


async def _tell(connection: AsyncConnection, kind: EventKind, job: Job) -> None:
    body = msgspec.json.encode(job)
    change = Change("", COLLECTION, job.id, kind, job.state.value, body)
    await append(connection, datetime.now(UTC), [change])


def _columns(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "title": job.title,
        "user": job.owner.user,
        "tenant": job.owner.tenant,
        "owner": msgspec.json.encode(job.owner),
        "state": job.state.value,
        "percent": job.percent,
        "phase": job.phase,
        "activity": job.activity,
        "created_us": stored(job.created_at),
    }


def _job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        title=row.title,
        owner=msgspec.json.decode(row.owner, type=Owner),
        state=JobState(row.state),
        percent=row.percent,
        phase=row.phase,
        activity=row.activity,
        attempt=row.fence,
        estimate_at=moment_or_none(row.estimate_us),
        created_at=moment(row.created_us),
        started_at=moment_or_none(row.started_us),
        ended_at=moment_or_none(row.ended_us),
        result=None if row.result is None else msgspec.json.decode(row.result),
        error=None if row.error is None else msgspec.json.decode(row.error, type=Problem),
        slot=row.slot,
    )


def _conditions(filter: JobFilter, marker: str | None) -> Sequence[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filter.states:
        conditions.append(jobs.c.state.in_([state.value for state in filter.states]))
    if filter.kinds:
        conditions.append(jobs.c.kind.in_(filter.kinds))
    if filter.tenants is not None:
        conditions.append(jobs.c.tenant.in_(filter.tenants))
    if filter.users is not None:
        conditions.append(jobs.c.user.in_(filter.users))
    if marker is not None:
        at_us, _dash, id = marker.partition("-")
        if not (at_us.isdecimal() and at_us.isascii() and len(at_us) < 19 and id):
            raise Invalid("the marker is not one that a list of jobs gave")
        same = and_(jobs.c.created_us == int(at_us), jobs.c.id < id)
        conditions.append(or_(jobs.c.created_us < int(at_us), same))
    return conditions
