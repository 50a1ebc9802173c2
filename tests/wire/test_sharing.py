"""One answer for many who wait for it."""

import asyncio

import pytest

from nimbi.wire.sharing import Shared

pytestmark = pytest.mark.looptime


class Counting:
    """Takes a second, and counts how often it was asked."""

    def __init__(self) -> None:
        self.count = 0
        self.fails = False

    async def __call__(self) -> int:
        self.count += 1
        await asyncio.sleep(1)
        if self.fails:
            raise ValueError("no")
        return self.count


@pytest.fixture
def make() -> Counting:
    return Counting()


async def test_an_answer_is_made_once_for_all_who_ask(make: Counting) -> None:
    shared = Shared()
    found = await asyncio.gather(*(shared.get("a", 60, make) for _ in range(10)))
    assert found == [1] * 10
    assert await shared.get("a", 60, make) == 1


async def test_an_old_answer_is_made_anew(make: Counting) -> None:
    now = [0.0]
    shared = Shared(clock=lambda: now[0])
    await shared.get("a", 60, make)
    now[0] = 61.0
    assert await shared.get("a", 60, make) == 2


async def test_one_who_is_cancelled_does_not_harm_the_others(make: Counting) -> None:
    shared = Shared()
    first = asyncio.create_task(shared.get("a", 60, make))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(shared.get("a", 60, make))
    await asyncio.sleep(0.1)
    first.cancel()
    assert await second == 1


async def test_an_error_goes_to_all_and_is_not_kept(make: Counting) -> None:
    shared = Shared()
    make.fails = True
    found = await asyncio.gather(
        *(shared.get("a", 60, make) for _ in range(3)), return_exceptions=True
    )
    assert [type(error) for error in found] == [ValueError] * 3
    make.fails = False
    assert await shared.get("a", 60, make) == 2


async def test_keys_are_apart_and_can_be_forgotten(make: Counting) -> None:
    shared = Shared()
    assert await shared.get("a", 60, make) == 1
    assert await shared.get("b", 60, make) == 2
    shared.forget("a")
    assert await shared.get("a", 60, make) == 3


async def test_the_least_used_is_given_up_first(make: Counting) -> None:
    shared = Shared(most=2)
    await shared.get("a", 600, make)
    await shared.get("b", 600, make)
    await shared.get("a", 600, make)
    await shared.get("c", 600, make)
    assert await shared.get("a", 600, make) == 1
    assert await shared.get("b", 600, make) == 4


async def test_closing_stops_what_is_under_way(make: Counting) -> None:
    shared = Shared()
    waiting = asyncio.create_task(shared.get("a", 60, make))
    await asyncio.sleep(0.1)
    await shared.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
