"""Budgets of requests: none until throttled, closed then, opened again slowly."""

import asyncio
from typing import Any

import pytest

from nimbi.wire.budget import Budgets, OverBudget

pytestmark = pytest.mark.looptime

KEY = ("account", "region", "read")


async def leaving(budgets: Budgets, count: int) -> list[float]:
    """Return when so many requests left, that all came at once."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def one() -> float:
        await budgets.leave(KEY)
        return loop.time() - began

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def test_what_was_never_throttled_does_not_wait(looptime) -> None:
    budgets = Budgets()
    await leaving(budgets, 1000)
    assert looptime == 0
    assert budgets.rate_per_s(KEY) is None


async def test_a_throttled_budget_lets_requests_out_one_by_one() -> None:
    budgets = Budgets()
    budgets.throttled(KEY, budgets.now(), 2.0)
    times = await leaving(budgets, 4)
    assert times == sorted(times)
    assert times[0] == pytest.approx(0.5)
    assert times[1] - times[0] == pytest.approx(0.5, rel=0.1)
    assert times[3] < 2.0


async def test_other_budgets_stay_open(looptime) -> None:
    budgets = Budgets()
    budgets.throttled(("other", *KEY), budgets.now(), 0.2)
    await leaving(budgets, 10)
    assert looptime == 0


async def test_a_budget_opens_by_itself() -> None:
    budgets = Budgets()
    budgets.throttled(KEY, budgets.now(), 2.0)
    rates = []
    for _ in range(6):
        rates.append(budgets.rate_per_s(KEY))
        await asyncio.sleep(10)
    assert rates == sorted(rates)
    assert rates[1] == pytest.approx(4.0)
    await asyncio.sleep(1)
    assert budgets.rate_per_s(KEY) is None
    assert await leaving(budgets, 3) == [0, 0, 0]


async def test_each_new_refusal_closes_it_more() -> None:
    budgets = Budgets()
    budgets.throttled(KEY, budgets.now(), 4.0)
    await asyncio.sleep(10)
    budgets.throttled(KEY, budgets.now(), 4.0)
    rate = budgets.rate_per_s(KEY)
    assert rate == pytest.approx(0.7 * 8.0)


async def test_requests_that_left_before_it_was_closed_close_it_once() -> None:
    budgets = Budgets()
    left_at = budgets.now()
    await asyncio.sleep(0.1)
    for _ in range(50):
        budgets.throttled(KEY, left_at, 4.0)
    assert budgets.rate_per_s(KEY) == pytest.approx(4.0)


async def test_it_never_closes_for_good() -> None:
    budgets = Budgets()
    for _ in range(50):
        await asyncio.sleep(1)
        budgets.throttled(KEY, budgets.now(), 4.0)
    rate = budgets.rate_per_s(KEY)
    assert rate is not None
    assert rate >= 0.2


async def test_the_time_that_the_server_names_is_waited_for() -> None:
    budgets = Budgets()
    budgets.throttled(KEY, budgets.now(), 4.0, retry_after_s=7)
    assert await leaving(budgets, 1) == [pytest.approx(7)]


async def test_who_would_wait_too_long_is_told_so_at_once(looptime) -> None:
    budgets = Budgets(patience_s=3)
    budgets.throttled(KEY, budgets.now(), 1.0)
    answers = await asyncio.gather(*(budgets.leave(KEY) for _ in range(20)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, OverBudget)]
    assert 10 < len(refused) < 20
    assert all(error.retry_after_s > 3 for error in refused)
    assert looptime <= 3


async def test_what_is_remembered_is_bounded() -> None:
    budgets = Budgets(most=10)
    for number in range(100):
        budgets.throttled(number, budgets.now(), 1.0)
    assert sum(budgets.rate_per_s(number) is not None for number in range(100)) == 10


@pytest.mark.parametrize("limit_per_s", [3.0, 5.0, 20.0])
async def test_a_crowd_gets_through_with_few_refusals(limit_per_s: float, looptime: Any) -> None:
    """A server gives tokens at its limit; who is refused comes again."""
    budgets = Budgets(patience_s=1000)
    loop = asyncio.get_running_loop()
    tokens, last, refused = 10.0, loop.time(), 0

    async def one() -> None:
        nonlocal tokens, last, refused
        while True:
            await budgets.leave(KEY)
            left_at = budgets.now()
            tokens = min(10.0, tokens + (left_at - last) * limit_per_s)
            last = left_at
            await asyncio.sleep(0.05)
            if tokens >= 1:
                tokens -= 1
                return
            refused += 1
            budgets.throttled(KEY, left_at, 10.0)

    count = 20 * int(limit_per_s)
    await asyncio.gather(*(one() for _ in range(count)))
    first_wave = count - 10
    assert refused - first_wave < count / 2
    assert looptime < 2 * count / limit_per_s


async def test_who_gives_up_waiting_does_not_hold_up_the_others() -> None:
    budgets = Budgets()
    budgets.throttled(KEY, budgets.now(), 1.0)
    waiting = [asyncio.create_task(budgets.leave(KEY)) for _ in range(5)]
    await asyncio.sleep(0.1)
    for task in waiting[:4]:
        task.cancel()
    async with asyncio.timeout(2):
        await waiting[4]
