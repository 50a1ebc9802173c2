"""A secret that expires: fetched once for all who wait, and kept as long as it is good."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from nimbi.wire.renewal import Lease, Renewed

START = datetime(2030, 1, 1, tzinfo=UTC)


class Fetching:
    """Gives new secrets, good for an hour of a clock that stands still, unless told to fail."""

    def __init__(self) -> None:
        self.now = START
        self.count = 0
        self.fails = False

    async def __call__(self) -> Lease[str]:
        self.count += 1
        await asyncio.sleep(0)
        if self.fails:
            raise ConnectionError("not now")
        return Lease(f"secret{self.count}", self.now + timedelta(hours=1))


@pytest.fixture
def fetching() -> Fetching:
    return Fetching()


@pytest.fixture
def renewed(fetching: Fetching) -> Renewed[str]:
    return Renewed("a secret", fetching, lambda: fetching.now)


async def test_many_who_wait_get_one(renewed: Renewed[str], fetching: Fetching) -> None:
    assert await asyncio.gather(*(renewed.value() for _ in range(9))) == ["secret1"] * 9
    assert (fetching.count, renewed.at_hand) == (1, "secret1")


async def test_only_the_one_that_was_refused_is_given_up(
    renewed: Renewed[str], fetching: Fetching
) -> None:
    old = await renewed.value()
    renewed.refuse(old)
    assert renewed.at_hand is None
    assert await renewed.value() == "secret2"
    renewed.refuse(old)
    assert await renewed.value() == "secret2"


async def test_an_old_one_is_used_while_none_can_be_had(
    renewed: Renewed[str], fetching: Fetching, caplog: pytest.LogCaptureFixture
) -> None:
    await renewed.value()
    fetching.now += timedelta(minutes=59, seconds=30)
    fetching.fails = True
    with caplog.at_level(logging.WARNING):
        assert await renewed.value() == "secret1"
    assert "a secret could not be renewed" in caplog.text
    fetching.now += timedelta(minutes=1)
    with pytest.raises(ConnectionError):
        await renewed.value()


async def test_a_first_failure_is_told_to_who_waits_and_not_to_the_log(
    renewed: Renewed[str], fetching: Fetching, caplog: pytest.LogCaptureFixture
) -> None:
    fetching.fails = True
    with pytest.raises(ConnectionError):
        await renewed.value()
    assert caplog.text == ""


def test_a_lease_shows_no_secret() -> None:
    assert "hunter2" not in repr(Lease("hunter2"))
