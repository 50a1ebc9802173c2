"""Schedules: made, changed, and fired, each due time once over all processes."""

import asyncio
import logging
import uuid
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from nimbi.broker.background import background
from nimbi.broker.work.times import next_due, zone_of
from nimbi.jobs import Jobs
from nimbi.model.errors import (
    CloudError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    QuotaExceeded,
)
from nimbi.model.jobs import Job
from nimbi.model.people import Owner
from nimbi.model.schedules import NewSchedule, Schedule, ScheduleChange, Times
from nimbi.model.work import Bulk, BulkDone, Target
from nimbi.store.errors import StoreUnavailable
from nimbi.store.schedules import Due, ScheduleStore, bound_to
from nimbi.store.sealing import Keyring

# How soon it is seen that another process has made a schedule.
LOOK_S = 5.0
# So that a clock that is a little behind does not spin.
SHORTEST_S = 0.05
MOST_TIMES = 100
MOST_TRIES = 3
# How long it is known which times have counted.
FIRINGS_AGE = timedelta(days=90)
PRUNE_EVERY_S = 3600.0

TOO_LATE = "no server worked at the time"
log = logging.getLogger(__name__)


class Schedules:
    """All schedules of the database, which begin jobs of the kinds of `jobs`."""

    def __init__(
        self, store: ScheduleStore, keyring: Keyring, jobs: Jobs, *, look_s: float = LOOK_S
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._jobs = jobs
        self._look_s = look_s
        self._news = asyncio.Event()

    async def create(self, new: NewSchedule, owner: Owner, *, id: str | None = None) -> Schedule:
        """Keep a schedule, whose jobs are done with the rights of `owner`.

        Raises Invalid for times and arguments that are none, Conflict for an id in use.
        """
        new.check()
        self._check(new.kind, new.arguments)
        now = await self._store.now()
        schedule = Schedule(
            id=id or uuid.uuid4().hex[:12],
            kind=new.kind,
            title=new.title,
            owner=owner,
            cron=new.cron,
            time_zone=new.time_zone,
            at=new.at,
            late_s=new.late_s,
            is_enabled=new.is_enabled,
            created_at=now,
        )
        schedule = msgspec.structs.replace(schedule, next_at=_next(schedule, now))
        sealed = self._keyring.seal(bytes(new.arguments), bound_to(schedule.id))
        await self._store.add(schedule, sealed)
        self._news.set()
        return schedule

    async def list(self, tenants: Collection[str] | None = None) -> tuple[Schedule, ...]:
        """Return all, or those of some tenants, the oldest first."""
        return await self._store.list(tenants)

    async def get(self, id: str) -> Schedule:
        """Return one. Raises NotFound."""
        return await self._store.get(id)

    async def change(self, id: str, change: ScheduleChange) -> Schedule:
        """Return a schedule as it is now. What is not yet due is due by its new times.

        Raises NotFound, Invalid for times that are none.
        """
        told = {
            name: value
            for name in change.__struct_fields__
            if (value := getattr(change, name)) is not msgspec.UNSET
        }
        for _ in range(MOST_TRIES):
            old = await self._store.get(id)
            new: Schedule = msgspec.structs.replace(old, **told)
            if old.cron is None and new.cron is not None:
                raise Invalid("this schedule has one time, and no cron expression")
            if old.at is None and new.at is not None:
                raise Invalid("this schedule has a cron expression, and no single time")
            if new.at is not None and new.at.tzinfo is None:
                raise Invalid("the time of a schedule needs a time zone")
            new = msgspec.structs.replace(new, next_at=_next(new, await self._store.now()))
            try:
                await self._store.change(old, new)
            except Conflict:
                continue
            self._news.set()
            return new
        raise Conflict("the schedule was due just now; try again")

    async def destroy(self, id: str) -> None:
        """Forget one; its jobs stay. Raises NotFound."""
        await self._store.remove(id)

    async def run(self, id: str, *, job: str | None = None) -> Job:
        """Begin its job now, beside those of its times. Raises NotFound."""
        schedule = await self._store.get(id)
        arguments = self._opened(id, await self._store.sealed(id))
        return await self._jobs.start(
            schedule.kind, arguments, schedule.owner, id=job, title=schedule.title
        )

    async def times(self, id: str, count: int) -> Times:
        """Return when it is due next, up to `count` (1 to 100) times. Raises NotFound."""
        schedule = await self._store.get(id)
        found: list[datetime] = []
        due = schedule.next_at
        while due is not None and len(found) < min(count, MOST_TIMES):
            found.append(due)
            due = _after(schedule, due)
        return Times(time_zone=schedule.time_zone, times=tuple(found))

    async def lease(
        self, id: str, owner: Owner, targets: tuple[Target, ...], seconds: int
    ) -> datetime:
        """Have instances destroyed after so long; the same id again is the same lease."""
        at = (await self._store.now()) + timedelta(seconds=seconds)
        bulk = Bulk(action="instances.destroy", targets=targets)
        new = NewSchedule(
            kind="bulk",
            arguments=msgspec.Raw(msgspec.json.encode(bulk)),
            title=f"end of the lease of {', '.join(t.id for t in targets)}"[:200],
            at=at,
            late_s=7 * 24 * 3600,
        )
        try:
            await self.create(new, owner, id=id)
        except Conflict:
            return (await self._store.get(id)).at or at
        return at

    async def done_before(self, id: str, owner: Owner) -> tuple[BulkDone, ...]:
        """Return what the last job of a schedule did; nothing when it began none, or it failed.

        Raises NotFound, Forbidden for a schedule of another tenant.
        """
        schedule = await self._store.get(id)
        if schedule.owner.tenant != owner.tenant:
            raise Forbidden(f"the schedule {id} is of another tenant")
        last = await self._store.last_job(id)
        if last is None:
            return ()
        try:
            job = await self._jobs.get(last)
        except NotFound:
            return ()
        if job.kind != "bulk" or job.result is None:
            return ()
        return (msgspec.convert(job.result, BulkDone),)

    def firing(self) -> AbstractAsyncContextManager[None]:
        """Begin the jobs of what is due until the block ends; several processes may."""
        return background(self._run())

    async def fire_due(self) -> None:
        """Begin the jobs of all that is due now. Raises CloudUnavailable for the database."""
        for due in await self._store.due():
            try:
                await self._fire(due)
            except StoreUnavailable:
                raise
            except Exception:
                # One that cannot begin keeps no other from it.
                log.exception("schedule %s could not begin its job", due.schedule.id)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pruned_at = -PRUNE_EVERY_S
        while True:
            wait_s = self._look_s
            self._news.clear()
            try:
                await self.fire_due()
                wait_s = await self._until_next()
                if loop.time() - pruned_at >= PRUNE_EVERY_S:
                    pruned_at = loop.time()
                    await self._store.prune(datetime.now(UTC) - FIRINGS_AGE)
            except CloudError as error:
                log.warning("schedules wait: %s", error)
            except Exception:
                log.exception("schedules could not be looked at")
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _until_next(self) -> float:
        next_at = await self._store.next_at()
        if next_at is None:
            return self._look_s
        left_s = (next_at - await self._store.now()).total_seconds()
        return min(max(left_s, SHORTEST_S), self._look_s)

    async def _fire(self, due: Due) -> None:
        """Begin the job of the last time that was due; what was due before is left out."""
        schedule = due.schedule
        at, next_at = _counting(schedule, due.now)
        try:
            if (due.now - at).total_seconds() > schedule.late_s:
                log.warning("schedule %s was due at %s: %s", schedule.id, at, TOO_LATE)
                await self._store.leave_out(schedule, at, next_at, TOO_LATE)
                return
            # A kind that only newer programs know is theirs to begin.
            if schedule.kind in self._jobs.kinds:
                await self._begin(due, at, next_at)
        except Conflict:
            # Another process was quicker, or somebody has changed it.
            log.debug("schedule %s: its time has counted", schedule.id)
        except (Invalid, Forbidden, NotFound, QuotaExceeded) as error:
            # What it says does not fit its kind any more, nor what its owner may and has room for.
            log.warning("schedule %s: %s", schedule.id, error)
            await self._store.leave_out(schedule, at, next_at, str(error))

    async def _begin(self, due: Due, at: datetime, next_at: datetime | None) -> None:
        schedule = due.schedule

        async def counts(connection: Any, job: str) -> None:
            await self._store.fire(connection, schedule, at, next_at, job=job)

        # The same time is the same job, whoever begins it.
        id = f"{schedule.id}-{at:%Y%m%dT%H%M%SZ}"
        arguments = self._opened(schedule.id, due.sealed)
        await self._jobs.start(
            schedule.kind, arguments, schedule.owner, id=id, title=schedule.title, along=counts
        )
        log.info("schedule %s was due at %s: job %s", schedule.id, at, id)

    def _opened(self, id: str, sealed: Any) -> Any:
        return msgspec.json.decode(self._keyring.open(sealed, bound_to(id)))

    def _check(self, kind: str, arguments: msgspec.Raw) -> None:
        decoded(self._jobs, kind, arguments)


def decoded(jobs: Jobs, kind: str, arguments: msgspec.Raw) -> Any:
    """Return arguments as their kind has them. Raises Invalid for what is none of them."""
    known = jobs.kinds.get(kind)
    if known is None:
        names = ", ".join(sorted(jobs.kinds))
        raise Invalid(f"there is no kind of job {kind[:60]!r}; there are {names}")
    try:
        found = msgspec.json.decode(arguments, type=known.arguments)
    except msgspec.ValidationError as error:
        raise Invalid(f"the arguments of {kind}: {error}") from error
    check = getattr(found, "check", None)
    if check is not None:
        check()
    return found


def _next(schedule: Schedule, now: datetime) -> datetime | None:
    """Return when a schedule is due from now on. Raises Invalid for times that are none."""
    zone = zone_of(schedule.time_zone)
    if schedule.cron is not None:
        # What has counted does not count again, though clocks were set back.
        at = next_due(schedule.cron, zone, max(now, schedule.last_at or now))
        return at if schedule.is_enabled else None
    has_counted = bool(schedule.at and schedule.last_at and schedule.at <= schedule.last_at)
    # A time that is past is due now, once.
    return schedule.at if schedule.is_enabled and not has_counted else None


def _after(schedule: Schedule, at: datetime) -> datetime | None:
    if schedule.cron is None:
        return None
    return next_due(schedule.cron, zone_of(schedule.time_zone), at)


def _counting(schedule: Schedule, now: datetime) -> tuple[datetime, datetime | None]:
    """Return the last time that is due by now, and the next one after it."""
    at = schedule.next_at or now
    # Long ago nothing counts any more.
    early = now - timedelta(seconds=schedule.late_s)
    next_at = _after(schedule, at)
    if next_at is not None and next_at < early:
        at = next_at
        next_at = _after(schedule, early)
        if next_at is not None and next_at <= now:
            at, next_at = next_at, _after(schedule, next_at)
    while next_at is not None and next_at <= now:
        at, next_at = next_at, _after(schedule, next_at)
    return at, next_at
