"""Where operations lead in the end, and waiting for that."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import nimbi
from nimbi.driver.compute import Instances
from nimbi.driver.states import StateMachine, Transition
from nimbi.driver.storage import Volumes
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.settling import resting, settled
from nimbi.model.errors import Timeout
from nimbi.model.instances import InstanceState, NewInstance
from nimbi.model.volumes import NewVolume, VolumeState

START, PENDING = InstanceState.START, InstanceState.PENDING
RUNNING, STOPPED = InstanceState.RUNNING, InstanceState.STOPPED
STOPPING, FINISH, ERROR = InstanceState.STOPPING, InstanceState.FINISH, InstanceState.ERROR
PAUSED = InstanceState.PAUSED

MACHINE = StateMachine(
    tuple(InstanceState),
    (
        Transition(START, PENDING, "create"),
        Transition(PENDING, RUNNING),
        Transition(PENDING, ERROR),
        Transition(RUNNING, STOPPING, "stop"),
        Transition(STOPPING, STOPPED),
        Transition(STOPPING, STOPPING),
        Transition(STOPPED, PENDING, "start"),
        Transition(STOPPED, FINISH),
    ),
)


@pytest.mark.parametrize(
    ("operation", "leads_to"),
    [
        ("stop", {STOPPED}),
        ("start", {RUNNING}),
        # What is made may come to rest in any state, and so may what changes none.
        ("create", {RUNNING, STOPPED, PAUSED}),
        ("resize", {RUNNING, STOPPED, PAUSED}),
    ],
)
def test_an_operation_leads_to_the_states_behind_those_that_pass(
    operation: str, leads_to: set[InstanceState]
) -> None:
    assert resting(MACHINE, operation) == leads_to | {ERROR, FINISH}


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with nimbi.connect(
        "mock", user="mockuser", password="mockpassword", state_dir=tmp_path
    ) as cloud:
        yield cloud


async def test_a_thing_is_told_once_it_rests_and_none_once_it_is_gone(cloud: Cloud) -> None:
    made = await cloud.instances.create(NewInstance(image_id="img1"))
    await cloud.instances.stop(made.id)
    stopped = await settled(cloud, Instances.get, (made.id,), "stop", 5)
    assert stopped is not None
    assert stopped.state is STOPPED
    await cloud.instances.destroy(made.id)
    assert await settled(cloud, Instances.get, (made.id,), "destroy", 5) is None


async def test_things_of_other_kinds_rest_when_nothing_is_pending(cloud: Cloud) -> None:
    made = await cloud.volumes.create(NewVolume(size_gib=1))
    volume = await settled(cloud, Volumes.get, (made.id,), "create", 5)
    assert volume is not None
    assert volume.state is VolumeState.AVAILABLE
    await cloud.volumes.destroy(made.id)
    assert await settled(cloud, Volumes.get, (made.id,), "attach", 5) is None


@pytest.mark.looptime
async def test_one_that_never_rests_is_late(cloud: Cloud) -> None:
    made = await cloud.instances.create(NewInstance(image_id="img1"))
    with pytest.raises(Timeout):
        await settled(cloud, Instances.get, (made.id,), "stop", 5)


async def test_a_volume_rests_after_detaching_once_the_guest_has_let_go(cloud: Cloud) -> None:
    with pytest.raises(Timeout):
        await settled(cloud, Volumes.get, ("vol3",), "detach", 0.1)
    await cloud.volumes.detach("vol3")
    volume = await settled(cloud, Volumes.get, ("vol3",), "detach", 5)
    assert volume is not None
    assert volume.state is VolumeState.AVAILABLE
