"""Fifty launches at once by three processes, where ten are allowed."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.broker.test_kills import begin, opened
from tests.broker.test_quotas import SMALL, WEB
from tests.store.conftest import KINDS, databases, new_url, template

from nimbi.broker.site import Broker
from nimbi.driver.compute import Instances
from nimbi.model.errors import QuotaExceeded

__all__ = ["databases", "new_url", "template"]

FAILED = 100


async def one(broker: Broker, token: str) -> bool:
    """Launch an instance, unless the quota forbids it."""
    new = msgspec.structs.replace(SMALL, token=token)
    try:
        async with broker.use(WEB, "one") as cloud:
            await cloud.call(Instances.create, new)
    except QuotaExceeded:
        return False
    return True


async def launch(url: str, place: Path, numbers: range) -> int:
    """Launch several at once; return how many were allowed."""
    async with opened(url, place) as broker:
        return sum(await asyncio.gather(*(one(broker, f"t{number}") for number in numbers)))


def process(url: str, place: Path, numbers: range) -> int:
    """Begin a process that launches several, and ends with how many were allowed."""
    child = os.fork()
    if child == 0:
        status = FAILED
        try:
            status = asyncio.run(launch(url, place, numbers))
        finally:
            os._exit(status)
    return child


async def limited(url: str, place: Path) -> None:
    async with opened(url, place) as broker:
        await broker.ground.holdings.quotas.limit("acme", {"instances": 10})


async def compared(url: str, place: Path) -> None:
    async with opened(url, place) as broker:
        assert await broker.quotas.recount(mend=False) == ()
        async with broker.use(WEB, "one") as cloud:
            assert len((await cloud.call(Instances.page, None, 100)).items) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_ten_of_fifty_get_through(tmp_path: Path, new_url: Callable[..., str], kind: str) -> None:
    url = new_url(kind)
    asyncio.run(begin(url, tmp_path))
    asyncio.run(limited(url, tmp_path))
    children = [process(url, tmp_path, range(50)[start::3]) for start in range(3)]
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert FAILED not in ends
    assert sum(ends) == 10
    asyncio.run(compared(url, tmp_path))
