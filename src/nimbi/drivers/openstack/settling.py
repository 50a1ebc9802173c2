"""Waiting until all parts of the cloud know a thing, or are done with it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nimbi.drivers.openstack.errors import OpenStackError

T = TypeVar("T")

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 2.0
SETTLE_S = 20.0
# Within the time that the gateway gives a call.
CALM_S = 45.0


async def repeated(
    call: Callable[[], Awaitable[T]],
    helps: Callable[[OpenStackError], Awaitable[bool]],
    most_s: float,
) -> T:
    """Return what `call` returns, called again after errors of which `helps` says it may help."""
    loop = asyncio.get_running_loop()
    until = loop.time() + most_s
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except OpenStackError as error:
            if loop.time() + pause_s > until or not await helps(error):
                raise
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
