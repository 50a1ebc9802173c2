"""Work beside a block ends with it."""

import asyncio

import pytest

from nimbi.broker import background as module
from nimbi.broker.background import background


async def test_work_ends_with_the_block_also_when_a_failure_hides_that_it_is_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    failures = 0

    async def work() -> None:
        nonlocal failures
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                failures += 1
                if failures > 1:
                    raise

    async with asyncio.timeout(20), background(work(), work()):
        await asyncio.sleep(0)
    assert failures == 3
