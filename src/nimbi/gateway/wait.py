"""Waiting for the state of a thing."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum
from typing import Protocol, TypeVar

from nimbi.gateway.retry import PASSING
from nimbi.model.errors import CloudError, NotFound, Timeout
from nimbi.model.instances import InstanceState

FIRST_S = 0.25
GROWTH = 1.5
LONGEST_S = 10.0

# Clouds that copy their data between places may not find a thing that they have just made.
UNSEEN_S = 15.0


class Stateful(Protocol):
    """What has a state: instances, images, volumes, snapshots, networks."""

    @property
    def id(self) -> str: ...

    @property
    def state(self) -> StrEnum: ...


S = TypeVar("S", bound=Stateful)
Fetch = Callable[[], Awaitable[S]]


async def until_state(
    fetch: Fetch[S],
    what: str,
    until: Collection[StrEnum],
    failing: Collection[StrEnum],
    timeout_s: float,
) -> S:
    """Return the thing as soon as its state is one of `until`.

    Raises CloudError when it is one of `failing`, Timeout after `timeout_s`. A thing that is not
    found is waited for during the first seconds; then NotFound is raised. Passing faults of the
    cloud are waited out. Polls at growing intervals.
    """
    loop = asyncio.get_running_loop()
    unseen_until = loop.time() + UNSEEN_S

    async def look() -> S | None:
        nonlocal unseen_until
        try:
            thing = await fetch()
        except NotFound:
            if loop.time() >= unseen_until:
                raise
            return None
        unseen_until = loop.time()
        if thing.state in failing:
            raise CloudError(f"{what} is in state {thing.state}{_reason(thing)}")
        return thing if thing.state in until else None

    return await _poll(look, f"{what} did not become {_names(until)}", timeout_s)


async def until_gone(fetch: Fetch[S], what: str, timeout_s: float) -> None:
    """Return when the thing is not found, or is an instance in state FINISH. Raises Timeout."""

    async def look() -> bool | None:
        try:
            thing = await fetch()
        except NotFound:
            return True
        return True if thing.state is InstanceState.FINISH else None

    await _poll(look, f"{what} is still there", timeout_s)


R = TypeVar("R")


async def _poll(look: Callable[[], Awaitable[R | None]], late: str, timeout_s: float) -> R:
    pause_s = FIRST_S
    fault: CloudError | None = None
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    found = await look()
                except PASSING as error:
                    found, fault = None, error
                if found is not None:
                    return found
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * GROWTH, LONGEST_S)
    except TimeoutError as error:
        raise Timeout(f"{late} within {timeout_s:g} s") from (fault or error)


def _reason(thing: object) -> str:
    reason = getattr(thing, "state_reason", None)
    return f": {reason}" if reason else ""


def _names(states: Collection[StrEnum]) -> str:
    return " or ".join(sorted(states))
