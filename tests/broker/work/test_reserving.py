"""What jobs reserve before they make it, and that nothing of it stays when they have ended."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.broker.rights.towns import Town
from tests.broker.whole import open_whole
from tests.broker.work.shop import Shop, launch
from tests.store.conftest import KINDS, databases, new_url, template

from nimbi.broker.access import Caller
from nimbi.driver.compute import Instances
from nimbi.drivers.mock.faults import Outage, Quota
from nimbi.model.audit import AuditEntry, AuditFilter
from nimbi.model.errors import NotFound, QuotaExceeded
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.jobs import Job, JobState
from nimbi.model.repair import Evacuation, Replace, Trait
from nimbi.model.schedules import NewSchedule
from nimbi.model.work import OnFailure

__all__ = ["databases", "new_url", "template"]

PLACE = "acme/web"
SMALL = NewInstance(image_id="img1", hardware_profile_id="m1-small", name="web")


@dataclass
class Office(Shop):
    """A broker that does jobs for Ada, an operator of the project acme/web."""

    ada: Caller
    town: Town

    async def used(self) -> int:
        found = await self.whole.broker.ground.holdings.quotas.of([self.ada.tenant])
        return next((one.used for one in found if one.resource == "instances"), 0)

    async def limit(self, instances: int) -> None:
        quotas = self.whole.broker.ground.holdings.quotas
        await quotas.limit(self.ada.tenant, {"instances": instances})

    async def started(self, kind: str, arguments: Any, **more: Any) -> Job:
        jobs = self.whole.broker.jobs
        return await jobs.start(kind, arguments, self.ada.owner, **more)

    async def made(self, **more: Any) -> Instance:
        async with self.whole.broker.use(self.ada, "a") as cloud:
            wish = msgspec.structs.replace(SMALL, **more)
            made: Instance = await cloud.call(Instances.create, wish)
        return made

    async def written(self, **wish: Any) -> tuple[AuditEntry, ...]:
        audit = self.whole.broker.audit
        filter = AuditFilter(all_phases=True, **wish)
        return await audit.page(filter, after=0, before=None, limit=1000)


@pytest.fixture(params=KINDS)
async def office(
    request: pytest.FixtureRequest, new_url: Callable[..., str], tmp_path: Path
) -> AsyncIterator[Office]:
    async with open_whole(new_url(request.param), tmp_path, private=True) as whole:
        await whole.add("a", "b")
        town = Town(whole)
        await town.settle()
        office = Office(whole, await town.arrived("ada", "operator", PLACE), town)
        for account in ("a", "b"):
            office.empty(account)
        yield office
        assert await whole.broker.quotas.recount(mend=False) == ()


def small(**more: Any) -> Any:
    return launch(new=SMALL, **more)


async def test_a_launch_reserves_all_of_it_as_it_begins(office: Office) -> None:
    await office.limit(5)
    job = await office.started("launch", small(count=3))
    # Nobody does jobs yet.
    assert (job.state, await office.used()) == (JobState.QUEUED, 3)
    with pytest.raises(QuotaExceeded):
        await office.started("launch", small(count=3), id="too many")
    with pytest.raises(NotFound):
        await office.whole.broker.jobs.get("too many")
    assert await office.used() == 3
    # The same launch again is reserved already.
    assert (await office.started("launch", small(count=3), id=job.id)).id == job.id
    async with office.whole.broker.jobs.running():
        assert (await office.ended(job)).state is JobState.DONE
        assert (await office.used(), len(office.instances())) == (3, 3)


async def test_a_launch_that_is_cancelled_before_it_begins_gives_all_back(office: Office) -> None:
    job = await office.started("launch", small(count=3))
    await office.whole.broker.jobs.cancel(job.id, job.owner)
    async with office.whole.broker.jobs.running():
        assert (await office.ended(job)).state is JobState.CANCELLED
    assert await office.used() == 0


@pytest.mark.parametrize(("on_failure", "left"), [(OnFailure.KEEP, 2), (OnFailure.ROLL_BACK, 0)])
async def test_what_could_not_be_made_is_given_back(
    office: Office, on_failure: OnFailure, left: int
) -> None:
    office.spoil(quota=Quota(instances=2))
    async with office.whole.broker.jobs.running():
        await office.ended(await office.started("launch", small(count=3, on_failure=on_failure)))
    assert (await office.used(), len(office.instances())) == (left, left)


async def test_nobody_takes_the_room_of_a_launch_that_waits_for_its_cloud(office: Office) -> None:
    await office.limit(2)
    office.spoil(outage=Outage(operations=("instances.create",), calls=8))
    async with office.whole.broker.jobs.running():
        job = await office.started("launch", small(count=2))
        with pytest.raises(QuotaExceeded):
            await office.made()
        assert (await office.ended(job)).state is JobState.DONE
    assert (await office.used(), len(office.instances())) == (2, 2)


async def test_a_replacement_that_does_not_fit_does_not_begin(office: Office) -> None:
    old = await office.made()
    await office.limit(1)
    wish = Replace(account="a", instance_id=old.id, without=frozenset({Trait.SIZES}))
    with pytest.raises(QuotaExceeded):
        await office.started("replace", wish)
    await office.limit(2)
    async with office.whole.broker.jobs.running():
        job = await office.ended(await office.started("replace", wish))
    assert (job.state, job.error) == (JobState.DONE, None)
    assert await office.used() == 1


async def test_an_evacuation_that_does_not_fit_moves_nothing(office: Office) -> None:
    olds = [await office.made(name=name) for name in ("one", "two")]
    await office.limit(3)
    wish = Evacuation(
        account="a",
        target="b",
        images={"img1": "img1"},
        profiles={"m1-small": "m1-small"},
        realms={"us": "us", "eu": "eu"},
        without=frozenset({Trait.SIZES}),
    )
    async with office.whole.broker.jobs.running():
        job = await office.ended(await office.started("evacuate", wish))
    assert (job.state, job.error and job.error.code) == (JobState.FAILED, "quota_exceeded")
    assert {one.id for one in office.instances()} == {one.id for one in olds}
    assert (await office.used(), office.instances("b")) == (2, ())


async def test_a_launch_of_a_schedule_that_does_not_fit_is_left_out(office: Office) -> None:
    await office.limit(0)
    schedules = office.whole.broker.schedules
    now = await schedules._store.now()
    told = NewSchedule(kind="launch", arguments=raw(small()), at=now)
    schedule = await schedules.create(told, office.ada.owner)
    await schedules.fire_due()
    left_out = await schedules.get(schedule.id)
    assert (left_out.last_at, left_out.last_job, left_out.next_at) == (now, None, None)
    assert await office.used() == 0


async def test_all_of_a_job_is_written_down_as_done_by_who_wanted_it(office: Office) -> None:
    schedules = office.whole.broker.schedules
    now = await schedules._store.now()
    told = NewSchedule(kind="launch", arguments=raw(small()), at=now)
    schedule = await schedules.create(told, office.ada.owner)
    await schedules.fire_due()
    id = (await schedules.get(schedule.id)).last_job or ""
    async with office.whole.broker.jobs.running():
        await office.whole.broker.jobs.wait(id, 60)
    entries = await office.written(request_id=f"job/{id}")
    assert [entry.operation for entry in entries] == [
        *("jobs.begin", "instances.create", "instances.create", "jobs.end")
    ]
    assert {(entry.user, entry.tenant) for entry in entries} == {
        (office.ada.user, office.ada.tenant)
    }
    assert {entry.owners for entry in entries} == {office.ada.path}


async def test_an_auditor_sees_what_was_done_to_its_things_from_above(office: Office) -> None:
    mine = await office.made()
    boss = await office.town.arrived("boss", "operator", "acme")
    async with office.whole.broker.use(boss, "a") as cloud:
        await cloud.call(Instances.stop, mine.id)
        other = await cloud.call(Instances.create, SMALL)
    seen = await office.written(below=office.ada.path)
    assert ("instances.stop", boss.user, mine.id) in {(e.operation, e.user, e.thing) for e in seen}
    assert other.id not in {entry.thing for entry in seen}


def raw(arguments: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(arguments))
