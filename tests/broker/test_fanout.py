"""Asking many at once: answers in the order in which they come, late ones as errors."""

import asyncio

from nimbi.broker.fanout import fan_out
from nimbi.model.errors import CloudError, CloudUnavailable, Timeout


async def test_answers_come_in_the_order_in_which_they_are_there() -> None:
    second = asyncio.Event()

    async def first() -> int:
        await second.wait()
        return 1

    async def quick() -> int:
        return 2

    seen = []
    async for name, answer in fan_out({"slow": first, "quick": quick}, 30):
        seen.append((name, answer))
        second.set()
    assert seen == [("quick", 2), ("slow", 1)]


async def test_an_error_of_one_is_its_answer() -> None:
    async def down() -> int:
        raise CloudUnavailable("down")

    async def well() -> int:
        return 1

    found = {name: answer async for name, answer in fan_out({"down": down, "well": well}, 30)}
    assert found["well"] == 1
    assert isinstance(found["down"], CloudUnavailable)


async def test_one_that_is_late_is_cancelled_and_is_a_timeout() -> None:
    ended = []

    async def hangs() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)
        return 1

    found = {name: answer async for name, answer in fan_out({"hangs": hangs}, 0.01)}
    assert isinstance(found["hangs"], Timeout)
    assert ended == [True]


async def test_whoever_leaves_early_ends_the_rest() -> None:
    ended = []

    async def hangs() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)
        return 1

    async def quick() -> int:
        await asyncio.sleep(0)
        return 1

    answers = fan_out({"hangs": hangs, "quick": quick}, 30)
    async for _name, answer in answers:
        assert not isinstance(answer, CloudError)
        break
    await answers.aclose()  # type: ignore[attr-defined]  it is a generator
    assert ended == [True]
