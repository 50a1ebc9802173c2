"""What was just made may be unknown for some seconds; that is waited out, and nothing else is."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nimbi.drivers.ec2.errors import AwsError
from nimbi.drivers.ec2.settling import settled
from nimbi.wire.fresh import MOST_FRESH, Fresh

pytestmark = pytest.mark.looptime

CODE = "InvalidInstanceID.NotFound"


def unknown_for(seconds: float, code: str = CODE) -> Callable[[], Any]:
    """Return a call that does not know i-1 for so long."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds

    async def call() -> str:
        if loop.time() < until:
            raise AwsError(code, "The instance ID 'i-1' does not exist")
        return "found"

    return call


async def test_a_fresh_thing_is_waited_for(looptime) -> None:
    assert await settled(unknown_for(4), {CODE}, lambda _: True) == "found"
    assert 4 <= looptime < 8


async def test_what_is_known_is_not_waited_for(looptime) -> None:
    assert await settled(unknown_for(0), {CODE}, lambda _: True) == "found"
    assert looptime == 0


async def test_a_thing_that_is_not_fresh_is_not_found_at_once(looptime) -> None:
    with pytest.raises(AwsError):
        await settled(unknown_for(4), {CODE}, lambda _: False)
    assert looptime == 0


async def test_other_errors_are_not_waited_out(looptime) -> None:
    with pytest.raises(AwsError):
        await settled(unknown_for(4, "UnauthorizedOperation"), {CODE}, lambda _: True)
    assert looptime == 0


async def test_what_stays_unknown_is_not_found_in_the_end(looptime) -> None:
    with pytest.raises(AwsError):
        await settled(unknown_for(1000), {CODE}, lambda _: True)
    assert 15 < looptime <= 20


async def test_ids_are_fresh_for_a_minute() -> None:
    fresh = Fresh()
    fresh.add("i-1")
    assert "i-1" in fresh
    assert fresh.any_in("The instance ID 'i-1' does not exist")
    assert not fresh.any_in("The instance ID 'i-2' does not exist")
    await asyncio.sleep(61)
    assert "i-1" not in fresh
    assert not fresh.any_in("The instance ID 'i-1' does not exist")


async def test_fresh_ids_are_bounded() -> None:
    fresh = Fresh()
    for number in range(MOST_FRESH + 100):
        fresh.add(f"i-{number:06}")
    assert "i-000000" not in fresh
    assert f"i-{MOST_FRESH + 99:06}" in fresh
