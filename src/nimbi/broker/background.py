"""Work that goes on beside a block of code."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

# After this a work that has not ended is cancelled once more.
AGAIN_S = 5.0


@asynccontextmanager
async def background(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have these done until the block ends; then they are cancelled, and have ended."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        left = set(tasks)
        while left:
            for task in left:
                task.cancel()
            # A failure at that very moment may take the place of the cancellation.
            _, left = await asyncio.wait(left, timeout=AGAIN_S)
        await asyncio.gather(*tasks, return_exceptions=True)
