"""Deadlines of calls."""

import asyncio

import pytest

from nimbi.driver.compute import Instances
from nimbi.gateway.deadline import finish
from nimbi.gateway.limits import Limits
from nimbi.model.errors import Timeout

pytestmark = pytest.mark.looptime


async def hang(*_args):
    await asyncio.sleep(3600)


async def test_a_cloud_that_does_not_answer_is_a_timeout(make_cloud, script, looptime):
    script["instances.get"] = [hang]
    with pytest.raises(Timeout, match=r"scripted gave no answer to instances\.get in time$"):
        await make_cloud(Limits(deadline_s=7)).instances.get("i-1")
    assert looptime == 7


async def test_a_change_that_timed_out_may_have_happened(cloud, script):
    script["instances.stop"] = [hang]
    with pytest.raises(Timeout, match="it may have been carried out"):
        await cloud.instances.stop("i-1")


async def test_an_operation_can_have_a_deadline_of_its_own(make_cloud, script, looptime):
    script["instances.get"] = script["instances.stop"] = [hang]
    cloud = make_cloud(Limits(deadline_s=7, deadlines_s={"instances.stop": 30}))
    with pytest.raises(Timeout):
        await cloud.instances.stop("i-1")
    assert looptime == 30


async def test_a_call_can_have_a_deadline_of_its_own(cloud, script, looptime):
    script["instances.get"] = [hang]
    with pytest.raises(Timeout):
        await cloud.within(2).call(Instances.get, "i-1")
    assert looptime == 2
    with pytest.raises(Timeout):
        await cloud.instances.get("i-1")
    assert looptime == 2 + Limits().deadline_s


def test_running_a_command_may_take_long_unless_told_otherwise():
    assert Limits().deadline("instances.run") == 600
    assert Limits(deadline_s=900).deadline("instances.run") == 900
    assert Limits(deadlines_s={"instances.run": 5}).deadline("instances.run") == 5


async def test_a_callers_own_deadline_is_the_callers(cloud, script, looptime):
    script["instances.get"] = [hang]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await cloud.instances.get("i-1")
    assert looptime == 3


async def test_a_coroutine_that_never_waits_needs_no_timer():
    async def answer():
        return 1

    assert await finish(answer(), -1, "late") == 1


async def test_a_coroutine_that_waits_several_times_is_finished():
    async def answer():
        await asyncio.sleep(1)
        await asyncio.sleep(0)
        return await asyncio.to_thread(lambda: 5)

    until = asyncio.get_running_loop().time() + 9999
    assert await finish(answer(), until, "late") == 5


async def test_a_coroutine_sees_its_cancellation_and_may_go_on_for_a_while():
    seen = []

    async def stubborn():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            seen.append("cleaned up")
            raise

    until = asyncio.get_running_loop().time() + 5
    with pytest.raises(Timeout):
        await finish(stubborn(), until, "late")
    assert seen == ["cleaned up"]


async def test_a_timeout_within_is_not_the_deadline():
    async def impatient():
        async with asyncio.timeout(1):
            await asyncio.sleep(100)

    until = asyncio.get_running_loop().time() + 5
    with pytest.raises(TimeoutError) as raised:
        await finish(impatient(), until, "late")
    assert not isinstance(raised.value, Timeout)


async def test_a_coroutine_may_keep_timeouts_and_tasks_of_its_own():
    async def busy():
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(n, n)) for n in (3, 1)]
        return [task.result() for task in tasks]

    until = asyncio.get_running_loop().time() + 5
    assert await finish(busy(), until, "late") == [3, 1]
