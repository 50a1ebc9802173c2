"""One question to many clouds: answers as they come, and a deadline that holds for all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeVar

from nimbi.model.errors import CloudError, Timeout

T = TypeVar("T")

# What a job that is cancelled may take to clean up; it is left to itself then.
LEAVE_S = 0.2


async def fan_out(
    jobs: Mapping[str, Callable[[], Awaitable[T]]], deadline_s: float
) -> AsyncIterator[tuple[str, T | CloudError]]:
    """Yield each job's name and what came of it, in the order in which they end.

    All run at once. One that raises a CloudError gives that, one that is not done after
    `deadline_s` is cancelled and gives Timeout. Whoever leaves the loop early cancels the rest.
    """
    running = {asyncio.ensure_future(_whole(job)): name for name, job in jobs.items()}
    until = asyncio.get_running_loop().time() + deadline_s
    pending = set(running)
    try:
        while pending:
            left_s = until - asyncio.get_running_loop().time()
            done, pending = await asyncio.wait(
                pending, timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                yield running[task], task.result()
            if not done:
                break
        for task in pending:
            task.cancel()
            yield running[task], Timeout(f"no answer within {deadline_s:g} s")
    finally:
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=LEAVE_S)


async def _whole(job: Callable[[], Awaitable[T]]) -> T | CloudError:
    try:
        return await job()
    except CloudError as error:
        return error
