"""Jobs for what is not well: restarted, replaced, moved; in the end one lives, and one only."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.broker.health.ward import Machine, Ward
from tests.broker.sites import soon

from nimbi.broker.access import ADMIN
from nimbi.drivers.mock.faults import Faults, LostReply, NoCapacity, Outage
from nimbi.model.checks import Action, ActionKind, CheckState, Probe, ProbeKind
from nimbi.model.instances import InstanceState
from nimbi.model.jobs import Job, JobState
from nimbi.model.people import Owner
from nimbi.model.repair import (
    Evacuated,
    Evacuation,
    Replace,
    Replaced,
    Restart,
    Restarted,
    Trait,
)

ANN = Owner(user="admin", name="admin")
LONG_S = 60.0
# What the two clouds call the same.
MAPS = {
    "images": {"img1": "img2", "img3": "img3"},
    "profiles": {"m1-large": "m1-small", "m1-small": "m1-small"},
    "realms": {"us": "eu", "eu": "eu"},
    "without": frozenset({Trait.VOLUMES, Trait.SIZES}),
}


@pytest.fixture(autouse=True)
async def _working(ward: Ward) -> AsyncIterator[None]:
    async with ward.jobs.running():
        yield


async def done(ward: Ward, kind: str, arguments: Any) -> Job:
    job = await ward.jobs.start(kind, arguments, ANN)
    return await ward.jobs.wait(job.id, LONG_S)


def result(job: Job, kind: Any) -> Any:
    assert job.state is JobState.DONE, job.error
    return msgspec.convert(job.result, kind)


async def test_one_that_runs_is_rebooted_and_one_that_is_stopped_is_started(ward: Ward) -> None:
    wish = Restart(account="one", instance_id="inst0")
    assert result(await done(ward, "restart", wish), Restarted).did == "reboot"
    async with ward.whole.broker.use(ADMIN, "one") as cloud:
        await cloud.instances.stop("inst0")
    assert result(await done(ward, "restart", wish), Restarted).did == "start"
    assert ward.instances("one")["inst0"].state is InstanceState.RUNNING
    gone = await done(ward, "restart", Restart(account="one", instance_id="inst77"))
    assert gone.error is not None
    assert gone.error.code == "not_found"


async def test_a_replacement_is_like_the_old_one_which_is_gone(
    ward: Ward, machine: Machine
) -> None:
    check = await ward.check(machine.port)
    before = ward.instances("one")
    job = await done(ward, "replace", Replace(account="one", instance_id="inst0"))
    new_id = result(job, Replaced).new_id
    after = ward.instances("one")
    assert set(after) == (set(before) - {"inst0"}) | {new_id}
    for trait in ("name", "image_id", "hardware_profile_id", "realm_id", "sizes"):
        assert getattr(after[new_id], trait) == getattr(before["inst0"], trait)
    # What looked after the old one looks after the new one.
    assert (await ward.health.check(ADMIN, check.id)).instance_id == new_id


async def test_one_that_does_not_answer_is_taken_away_and_the_old_one_stays(ward: Ward) -> None:
    check = await ward.check(9)
    before = ward.instances("one")
    wish = Replace(account="one", instance_id="inst0", patience_s=1)
    job = await done(ward, "replace", wish)
    assert job.error is not None
    assert job.error.code == "timeout"
    assert set(ward.instances("one")) == set(before)
    assert (await ward.health.check(ADMIN, check.id)).instance_id == "inst0"


async def test_a_cancelled_replacement_leaves_what_was(ward: Ward) -> None:
    await ward.check(9)
    before = ward.instances("one")
    job = await ward.jobs.start("replace", Replace(account="one", instance_id="inst0"), ANN)

    async def is_waiting() -> bool:
        return (await ward.jobs.get(job.id)).phase == "waiting"

    await soon(is_waiting)
    assert len(ward.instances("one")) == len(before) + 1
    await ward.jobs.cancel(job.id, ANN)
    assert (await ward.jobs.wait(job.id, LONG_S)).state is JobState.CANCELLED
    assert set(ward.instances("one")) == set(before)


async def test_one_that_is_kept_is_stopped(ward: Ward) -> None:
    wish = Replace(account="one", instance_id="inst2", keep=True)
    new_id = result(await done(ward, "replace", wish), Replaced).new_id
    states = {id: one.state for id, one in ward.instances("one").items()}
    assert states["inst2"] is InstanceState.STOPPED
    assert states[new_id] is InstanceState.RUNNING


async def test_what_cannot_be_had_anew_is_refused_before_anything_is_done(ward: Ward) -> None:
    before = ward.instances("one")
    job = await done(ward, "replace", Replace(account="one", instance_id="inst1"))
    assert job.error is not None
    assert "volumes" in job.error.message
    assert ward.instances("one") == before
    wish = Replace(account="one", instance_id="inst1", without=frozenset({Trait.VOLUMES}))
    assert (await done(ward, "replace", wish)).state is JobState.DONE


@pytest.mark.parametrize(
    "faults",
    [
        Faults(lost_reply=LostReply(operations=("instances.create",), calls=1)),
        Faults(lost_reply=LostReply(operations=("instances.destroy",), calls=1)),
        Faults(outage=Outage(operations=("instances.destroy",), calls=3)),
        Faults(outage=Outage(operations=("instances.get", "instances.create"), calls=4)),
    ],
)
async def test_in_the_end_one_lives_whatever_is_lost(ward: Ward, faults: Faults) -> None:
    names = ward.running("one")
    ward.whole.clouds["one"].faults = faults
    job = await done(ward, "replace", Replace(account="one", instance_id="inst2"))
    assert job.state is JobState.DONE, job.error
    assert ward.running("one") == names


async def test_no_room_for_another_leaves_the_old_one(ward: Ward) -> None:
    before = ward.instances("one")
    ward.whole.clouds["one"].faults = Faults(out_of_capacity=NoCapacity())
    job = await done(ward, "replace", Replace(account="one", instance_id="inst2"))
    assert job.error is not None
    assert job.error.code == "out_of_capacity"
    assert ward.instances("one") == before


async def test_all_of_an_account_go_to_another_one(ward: Ward, machine: Machine) -> None:
    await ward.whole.add("two")
    await _emptied(ward, "two")
    check = await ward.check(machine.port)
    names = ward.running("one")
    wish = Evacuation(account="one", target="two", **MAPS)
    moved = result(await done(ward, "evacuate", wish), Evacuated)
    assert [one.instance_id for one in moved.moved] == ["inst0", "inst1", "inst2", "inst3"]
    assert moved.failed == ()
    assert ward.instances("one") == {}
    named = [name for name in names if not name.startswith("inst")]
    assert [name for name in ward.running("two") if name in named] == named
    assert len(ward.running("two")) == len(names)
    found = await ward.health.check(ADMIN, check.id)
    assert (found.account, found.instance_id) == ("two", moved.moved[0].new_id)


async def test_an_evacuation_begins_nothing_when_one_has_nowhere_to_go(ward: Ward) -> None:
    await ward.whole.add("two")
    before = (ward.instances("one"), ward.instances("two"))
    wish = Evacuation(account="one", target="two", images={"img1": "img2"})
    job = await done(ward, "evacuate", wish)
    assert job.error is not None
    assert "img3 has no counterpart in two" in job.error.message
    assert (ward.instances("one"), ward.instances("two")) == before


async def test_one_that_cannot_be_moved_stays_and_the_others_go(ward: Ward) -> None:
    await ward.whole.add("two")
    await _emptied(ward, "two")
    ward.whole.clouds["two"].faults = Faults(
        out_of_capacity=NoCapacity(operations=("instances.create",), calls=1)
    )
    wish = Evacuation(account="one", target="two", instances=("inst0", "inst2"), **MAPS)
    moved = result(await done(ward, "evacuate", wish), Evacuated)
    assert [(one.instance_id, one.code) for one in moved.failed] == [("inst0", "out_of_capacity")]
    assert [one.instance_id for one in moved.moved] == ["inst2"]
    assert set(ward.instances("one")) == {"inst0", "inst1", "inst3"}
    assert len(ward.instances("two")) == 1


async def test_a_failing_check_restarts_its_instance_by_one_job(ward: Ward) -> None:
    action = Action(kind=ActionKind.RESTART)
    check = await ward.check(1, probe=Probe(kind=ProbeKind.STATE), failures=1, action=action)
    async with ward.whole.broker.use(ADMIN, "one") as cloud:
        await cloud.instances.stop("inst0")
    await ward.again(check, 4)
    (taken,) = await ward.health.actions(ADMIN, check.id)
    assert (taken.is_started, taken.problem) == (True, None)
    job = await ward.jobs.wait(taken.id, LONG_S)
    assert result(job, Restarted).did == "start"
    assert (await ward.again(check)).state is CheckState.UP


async def test_an_action_that_was_only_written_down_is_begun_once_by_whoever_comes(
    ward: Ward,
) -> None:
    action = Action(kind=ActionKind.RESTART)
    check = await ward.check(1, probe=Probe(kind=ProbeKind.STATE), failures=1, action=action)
    async with ward.whole.broker.use(ADMIN, "one") as cloud:
        await cloud.instances.stop("inst0")
    await ward.again(check)
    (taken,) = await ward.health.actions(ADMIN, check.id)
    async with ward.database.writing() as connection:
        # As it is when a process dies after it has started the job, and before it says so.
        await connection.exec_driver_sql("update check_actions set is_started = false")
    await ward.again(check, 2)
    (again,) = await ward.health.actions(ADMIN, check.id)
    assert (again.id, again.is_started) == (taken.id, True)
    assert (await ward.jobs.wait(taken.id, LONG_S)).state is JobState.DONE


async def _emptied(ward: Ward, account: str) -> None:
    """Take away what a mock cloud begins with."""
    async with ward.whole.broker.use(ADMIN, account) as cloud:
        for id in list(ward.instances(account)):
            await cloud.instances.stop(id)
            await cloud.instances.destroy(id)
