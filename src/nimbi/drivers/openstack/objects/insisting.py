"""Calls that are made again after passing faults: the gateway repeats no stream."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nimbi.model.errors import CloudUnavailable, Throttled, UnknownOutcome

T = TypeVar("T")

# Whoever has sent a terabyte does not begin anew for one lost answer.
ATTEMPTS = 4
PAUSE_S = 0.2

PASSING = (Throttled, CloudUnavailable, UnknownOutcome)


async def insisting(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return what an attempt returns, made again after passing faults."""
    for number in range(1, ATTEMPTS):
        try:
            return await attempt()
        except PASSING as error:
            pause_s = random.random() * PAUSE_S * 2**number  # noqa: S311  no secret
            if isinstance(error, Throttled) and error.retry_after_s is not None:
                pause_s += error.retry_after_s
        await asyncio.sleep(pause_s)
    return await attempt()
