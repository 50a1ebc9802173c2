"""Work on the disk, done in threads so that it never holds up the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

MOST = 8


class Threads:
    """A few threads of our own, so that a slow disk holds up nobody else's."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MOST, thread_name_prefix="blobs")

    async def run(self, work: Callable[[], T]) -> T:
        """Return what the work returns. It goes on to its end when the caller is cancelled."""
        done = self._pool.submit(work)
        return await asyncio.shield(asyncio.wrap_future(done))

    def begin(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Begin the work, and return what becomes of it."""
        return asyncio.wrap_future(self._pool.submit(work))

    def close(self) -> None:
        """Wait for what is at work."""
        self._pool.shutdown()
