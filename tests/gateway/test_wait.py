"""Waiting for states."""

import asyncio
from itertools import pairwise

import pytest

from nimbi.driver.compute import Instances
from nimbi.model.errors import CloudError, CloudUnavailable, Forbidden, NotFound, Timeout
from nimbi.model.instances import InstanceState as State

pytestmark = pytest.mark.looptime


async def test_a_thing_in_the_wanted_state_is_given_at_once(cloud, script, instance, looptime):
    script["instances.get"] = [instance()]
    found = await cloud.wait(Instances.get, "i-1", until={State.RUNNING, State.STOPPED})
    assert (found, looptime) == (instance(), 0)


async def test_the_pauses_between_looks_grow_to_ten_seconds(cloud, script, instance):
    loop = asyncio.get_running_loop()
    looks = []

    async def look(_id):
        looks.append(loop.time())
        return instance(state=State.RUNNING if len(looks) == 16 else State.PENDING)

    script["instances.get"] = [look]
    await cloud.wait(Instances.get, "i-1", until={State.RUNNING})
    pauses = [b - a for a, b in pairwise(looks)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    assert pauses[-1] == 10


async def test_a_failing_state_raises_with_its_reason(cloud, script, instance):
    failed = instance(state=State.ERROR, state_reason="no host has room")
    script["instances.get"] = [instance(state=State.PENDING), failed]
    with pytest.raises(CloudError, match="instances i-1 is in state error: no host has room"):
        await cloud.wait(Instances.get, "i-1", until={State.RUNNING}, failing={State.ERROR})


async def test_a_failing_state_without_reason_raises(cloud, script, instance):
    script["instances.get"] = [instance(state=State.ERROR)]
    with pytest.raises(CloudError, match=r"is in state error$"):
        await cloud.wait(Instances.get, "i-1", until={State.RUNNING}, failing={State.ERROR})


async def test_waiting_ends_with_a_timeout(cloud, script, instance, looptime):
    script["instances.get"] = [instance(state=State.PENDING)]
    with pytest.raises(Timeout, match="instances i-1 did not become running or stopped within 9 s"):
        await cloud.wait(Instances.get, "i-1", until=[State.STOPPED, State.RUNNING], timeout_s=9)
    assert looptime == 9


async def test_a_new_thing_may_be_unknown_for_some_seconds(cloud, script, instance):
    script["instances.get"] = [NotFound("n"), NotFound("n"), instance()]
    assert await cloud.wait(Instances.get, "i-1", until={State.RUNNING}) == instance()


async def test_a_thing_that_is_never_found_is_not_found(cloud, script, looptime):
    script["instances.get"] = [NotFound("n")]
    with pytest.raises(NotFound):
        await cloud.wait(Instances.get, "i-1", until={State.RUNNING})
    assert 15 <= looptime < 30


async def test_a_thing_that_was_seen_and_vanishes_is_not_found(cloud, script, instance, looptime):
    script["instances.get"] = [instance(state=State.PENDING), NotFound("n")]
    with pytest.raises(NotFound):
        await cloud.wait(Instances.get, "i-1", until={State.RUNNING})
    assert looptime < 1


async def test_passing_faults_are_waited_out(cloud, script, instance):
    script["instances.get"] = [CloudUnavailable("c")] * 9 + [instance()]
    assert await cloud.wait(Instances.get, "i-1", until={State.RUNNING}) == instance()


async def test_a_timeout_tells_of_the_fault_that_was_waited_out(cloud, script):
    script["instances.get"] = [CloudUnavailable("down")]
    with pytest.raises(Timeout) as raised:
        await cloud.wait(Instances.get, "i-1", until={State.RUNNING}, timeout_s=20)
    assert isinstance(raised.value.__cause__, CloudUnavailable)


async def test_lasting_errors_end_the_wait(cloud, script):
    script["instances.get"] = [Forbidden("f")]
    with pytest.raises(Forbidden):
        await cloud.wait(Instances.get, "i-1", until={State.RUNNING})


async def test_a_callers_own_deadline_ends_the_wait(cloud, script, instance):
    script["instances.get"] = [instance(state=State.PENDING)]
    with pytest.raises(TimeoutError) as raised:
        async with asyncio.timeout(3):
            await cloud.wait(Instances.get, "i-1", until={State.RUNNING})
    assert not isinstance(raised.value, CloudError)


@pytest.mark.parametrize("finished", [False, True])
async def test_a_thing_is_gone_when_it_is_not_found_or_finished(
    cloud, script, instance, finished: bool
):
    last = instance(state=State.FINISH) if finished else NotFound("n")
    script["instances.get"] = [instance(), instance(state=State.STOPPING), last]
    await cloud.wait_gone(Instances.get, "i-1")
    assert len(script.calls) == 3


async def test_waiting_for_the_end_ends_with_a_timeout(cloud, script, instance):
    script["instances.get"] = [instance()]
    with pytest.raises(Timeout, match="instances i-1 is still there within 5 s"):
        await cloud.wait_gone(Instances.get, "i-1", timeout_s=5)
