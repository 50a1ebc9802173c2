"""Keys that expire: fetched once for all who wait, and renewed in time."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from nimbi.drivers.ec2.logins.lease import Lease, Renewed
from nimbi.model.errors import CloudUnavailable
from nimbi.wire.sigv4 import Keys


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Fetching:
    """Gives new keys each time, good for an hour, unless told to fail."""

    clock: Clock
    count: int = 0
    fails: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> Lease:
        self.count += 1
        await self.gate.wait()
        if self.fails:
            raise CloudUnavailable("no")
        return Lease(Keys(f"AK{self.count}", "s"), self.clock.now + timedelta(hours=1))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fetching(clock: Clock) -> Fetching:
    fetching = Fetching(clock)
    fetching.gate.set()
    return fetching


@pytest.fixture
def renewed(clock: Clock, fetching: Fetching) -> Renewed:
    return Renewed("me", fetching, clock)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_many_who_wait_have_keys_fetched_once(renewed: Renewed, fetching: Fetching) -> None:
    fetching.gate.clear()
    waiting = [asyncio.create_task(renewed.keys()) for _ in range(100)]
    await settle()
    waiting[0].cancel()
    fetching.gate.set()
    found = await asyncio.gather(*waiting[1:])
    assert {keys.access_key_id for keys in found} == {"AK1"}
    assert fetching.count == 1


async def test_keys_are_renewed_before_they_expire_while_the_old_are_used(
    renewed: Renewed, fetching: Fetching, clock: Clock
) -> None:
    await renewed.keys()
    clock.forward(minutes=46)
    assert (await renewed.keys()).access_key_id == "AK1"
    await settle()
    assert (await renewed.keys()).access_key_id == "AK2"
    assert fetching.count == 2


async def test_a_source_that_has_nothing_new_is_not_asked_again_at_once(
    renewed: Renewed, fetching: Fetching, clock: Clock
) -> None:
    await renewed.keys()
    clock.forward(minutes=50)
    fetching.fails = True
    for _ in range(5):
        await renewed.keys()
        await settle()
    assert fetching.count == 2
    clock.forward(minutes=2)
    await renewed.keys()
    await settle()
    assert fetching.count == 3


async def test_old_keys_serve_until_they_are_over(
    renewed: Renewed, fetching: Fetching, clock: Clock
) -> None:
    await renewed.keys()
    fetching.fails = True
    clock.forward(minutes=59, seconds=30)
    assert (await renewed.keys()).access_key_id == "AK1"
    clock.forward(seconds=31)
    with pytest.raises(CloudUnavailable):
        await renewed.keys()


async def test_refused_keys_are_fetched_anew(renewed: Renewed, fetching: Fetching) -> None:
    old = await renewed.keys()
    assert renewed.refuse(old)
    assert (await renewed.keys()).access_key_id == "AK2"
    # Others whose requests were under way with the old ones do not throw the new ones away.
    assert renewed.refuse(old)
    await renewed.keys()
    assert fetching.count == 2
