"""Schedules: each due time once, over several processes."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import update
from tests.broker.work.shop import ADMIN, Shop, launch
from tests.store.conftest import database, databases, keyring, new_url, template, url

from nimbi.broker.work.schedules import TOO_LATE, Schedules
from nimbi.jobs import Jobs, Kind, Work
from nimbi.model.errors import Conflict, Forbidden, Invalid, NotFound
from nimbi.model.jobs import JobFilter
from nimbi.model.schedules import NewSchedule, Schedule, ScheduleChange
from nimbi.model.work import Bulk, BulkDone, Choice, Launched
from nimbi.store.database import Database, open_database
from nimbi.store.jobs import JobStore
from nimbi.store.leases import LeaseStore
from nimbi.store.moments import stored
from nimbi.store.schedules import ScheduleStore
from nimbi.store.schema import schedules as table
from nimbi.store.sealing import Keyring

__all__ = ["database", "databases", "keyring", "new_url", "template", "url"]


class Wish(msgspec.Struct):
    """What the kind of these tests takes."""

    number: int = 0


async def _nothing(_work: Work, _wish: Wish) -> None:
    return None


KIND = Kind("nothing", Wish, _nothing, "Do nothing.")


def made(database: Database, keyring: Keyring) -> Schedules:
    """Return the schedules of a process."""
    jobs = Jobs(
        JobStore(database, keyring), LeaseStore(database), database.place, (KIND,), holder="h"
    )
    return Schedules(ScheduleStore(database), keyring, jobs, look_s=0.05)


@pytest.fixture
async def plan(database: Database, keyring: Keyring) -> Schedules:
    return made(database, keyring)


def new(**more: Any) -> NewSchedule:
    arguments = msgspec.Raw(b'{"number": 7}')
    return NewSchedule(kind="nothing", arguments=arguments, **({"cron": "0 3 * * *"} | more))


async def passed(database: Database, schedule: Schedule, ago: timedelta) -> datetime:
    """Make a schedule due so long ago."""
    at = (datetime.now(UTC) - ago).replace(microsecond=0)
    async with database.writing() as connection:
        change = update(table).where(table.c.id == schedule.id).values(next_us=stored(at))
        await connection.execute(change)
    return at


async def jobs_of(plan: Schedules) -> list[str]:
    found, _ = await plan._jobs.page(JobFilter())
    return [job.id for job in found]


async def test_a_schedule_knows_when_it_is_due(plan: Schedules) -> None:
    schedule = await plan.create(new(time_zone="Europe/Berlin", title="nightly"), ADMIN)
    assert schedule.next_at is not None
    assert schedule.next_at > datetime.now(UTC)
    assert await plan.list() == (schedule,)
    assert await plan.get(schedule.id) == schedule
    times = (await plan.times(schedule.id, 3)).times
    assert times[0] == schedule.next_at
    assert len(set(times)) == 3


async def test_what_is_due_begins_its_job_and_is_due_again(
    plan: Schedules, database: Database
) -> None:
    schedule = await plan.create(new(), ADMIN)
    at = await passed(database, schedule, timedelta(minutes=5))
    await plan.fire_due()
    await plan.fire_due()
    (job,) = await jobs_of(plan)
    now = await plan.get(schedule.id)
    assert (now.last_at, now.last_job) == (at, job)
    assert now.next_at is not None
    assert now.next_at > datetime.now(UTC)


async def test_of_several_processes_one_begins_each_job(
    url: str, keyring: Keyring, database: Database
) -> None:
    async with AsyncExitStack() as stack:
        plans = [
            made(await stack.enter_async_context(open_database(url)), keyring) for _ in range(4)
        ]
        for _ in range(5):
            schedule = await plans[0].create(new(), ADMIN)
            await passed(database, schedule, timedelta(minutes=1))
        for _ in range(2):
            await asyncio.gather(*(plan.fire_due() for plan in plans))
        assert len(await jobs_of(plans[0])) == 5


async def test_only_the_last_of_what_was_missed_counts(plan: Schedules, database: Database) -> None:
    schedule = await plan.create(new(cron="*/10 * * * *"), ADMIN)
    await passed(database, schedule, timedelta(hours=30))
    await plan.fire_due()
    assert len(await jobs_of(plan)) == 1
    now = await plan.get(schedule.id)
    assert now.last_at is not None
    assert datetime.now(UTC) - now.last_at < timedelta(minutes=11)


async def test_what_is_too_late_is_left_out_and_told(plan: Schedules, database: Database) -> None:
    schedule = await plan.create(new(late_s=60), ADMIN)
    at = await passed(database, schedule, timedelta(minutes=2))
    await plan.fire_due()
    assert await jobs_of(plan) == []
    now = await plan.get(schedule.id)
    assert (now.last_at, now.last_job, now.problem) == (at, None, TOO_LATE)


async def test_one_time_counts_once(plan: Schedules) -> None:
    schedule = await plan.create(new(cron=None, at=datetime.now(UTC) - timedelta(seconds=5)), ADMIN)
    await plan.fire_due()
    now = await plan.get(schedule.id)
    assert now.next_at is None
    await plan.change(schedule.id, ScheduleChange(is_enabled=True))
    await plan.fire_due()
    assert len(await jobs_of(plan)) == 1


async def test_a_paused_schedule_is_not_due(plan: Schedules, database: Database) -> None:
    schedule = await plan.create(new(), ADMIN)
    paused = await plan.change(schedule.id, ScheduleChange(is_enabled=False))
    assert paused.next_at is None
    await passed(database, schedule, timedelta(minutes=1))
    await plan.fire_due()
    assert await jobs_of(plan) == []
    resumed = await plan.change(schedule.id, ScheduleChange(is_enabled=True, cron="5 4 * * *"))
    assert resumed.next_at is not None
    assert (resumed.next_at.hour, resumed.next_at.minute) == (4, 5)


async def test_due_schedules_begin_by_themselves(plan: Schedules) -> None:
    async with plan.firing():
        await plan.create(new(cron=None, at=datetime.now(UTC)), ADMIN)
        async with asyncio.timeout(60):
            while not await jobs_of(plan):  # noqa: ASYNC110  the schedules make it so
                await asyncio.sleep(0.02)


async def test_a_job_is_begun_by_hand(plan: Schedules) -> None:
    schedule = await plan.create(new(), ADMIN)
    job = await plan.run(schedule.id)
    assert (job.kind, job.owner) == ("nothing", ADMIN)


async def test_a_schedule_that_is_removed_is_gone(plan: Schedules) -> None:
    schedule = await plan.create(new(), ADMIN)
    await plan.destroy(schedule.id)
    with pytest.raises(NotFound):
        await plan.get(schedule.id)
    with pytest.raises(NotFound):
        await plan.destroy(schedule.id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cron": "nonsense"},
        {"cron": "0 0 30 2 *"},
        {"time_zone": "Mars/Olympus"},
        {"cron": None},
        {"at": datetime.now(UTC)},
        {"arguments": msgspec.Raw(b'{"number": "x"}')},
        {"kind": "unknown"},
    ],
)
async def test_schedules_that_say_nothing_are_refused(
    plan: Schedules, wrong: dict[str, Any]
) -> None:
    told = {"kind": "nothing", "arguments": msgspec.Raw(b"{}"), "cron": "0 3 * * *"}
    with pytest.raises(Invalid):
        await plan.create(NewSchedule(**(told | wrong)), ADMIN)


async def test_the_same_id_is_taken(plan: Schedules) -> None:
    await plan.create(new(), ADMIN, id="x")
    with pytest.raises(Conflict):
        await plan.create(new(), ADMIN, id="x")


async def test_in_the_morning_only_that_starts_which_was_stopped_at_night(shop: Shop) -> None:
    made = await shop.did("launch", launch(count=3), Launched)
    broker = shop.whole.broker
    async with broker.use(await broker.people.acting(ADMIN), "a") as cloud:
        await cloud.instances.stop(made.ids[0])
    night = Bulk(
        action="instances.stop", choice=Choice(accounts=("a",), filters={"state": "running"})
    )
    evening = await broker.schedules.create(told(night), ADMIN)
    await passed(broker.database, evening, timedelta(seconds=1))
    await broker.schedules.fire_due()
    off = await broker.jobs.get((await broker.schedules.get(evening.id)).last_job or "")
    await shop.ended(off)
    assert {i.state for i in shop.instances()} == {"stopped"}
    morning = Bulk(action="instances.start", done_by=evening.id)
    done = await shop.did("bulk", morning, BulkDone)
    assert [target.id for target in done.done] == list(made.ids[1:])
    stranger = msgspec.structs.replace(ADMIN, tenant="other")
    with pytest.raises(Forbidden):
        await broker.schedules.done_before(evening.id, stranger)


async def test_a_lease_ends_what_was_launched(shop: Shop) -> None:
    launched = await shop.did("launch", launch(count=2, lease_s=3600), Launched)
    broker = shop.whole.broker
    (lease,) = await broker.schedules.list()
    assert lease.next_at == launched.lease_ends_at
    await passed(broker.database, lease, timedelta(seconds=1))
    await broker.schedules.fire_due()
    job = await broker.jobs.get((await broker.schedules.get(lease.id)).last_job or "")
    await shop.ended(job)
    assert shop.instances() == ()


def told(bulk: Bulk) -> NewSchedule:
    arguments = msgspec.Raw(msgspec.json.encode(bulk))
    return NewSchedule(kind="bulk", arguments=arguments, cron="0 20 * * *")
