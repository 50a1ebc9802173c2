"""Waiting until all parts of the cloud know what was just made."""

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AnySet
from typing import TypeVar

from nimbi.drivers.ec2.errors import AwsError

T = TypeVar("T")

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 3.0
SETTLE_S = 20.0


async def settled(
    call: Callable[[], Awaitable[T]],
    codes: AnySet[str],
    is_fresh: Callable[[AwsError], bool],
) -> T:
    """Return what `call` returns, called again while it fails with one of `codes`, 20 s at most.

    Source: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLE_S
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except AwsError as error:
            if error.code not in codes or loop.time() + pause_s > until or not is_fresh(error):
                raise
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
