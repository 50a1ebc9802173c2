"""Parts of one content on their way up, several of them at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nimbi.wire.held import Held
from nimbi.wire.room import Room
from nimbi.wire.source import Source

T = TypeVar("T")


@dataclass(frozen=True)
class Way(Generic[T]):
    """How parts are sent, by their numbers from 1.

    `put` sends one that is at hand, `put_now` one of so many bytes as it comes; both return what is
    known of it then. `size_of` is the size of a part by its number and where it begins. A content
    whose length is not told (`is_told`) never goes as it comes: whether anything comes is seen only
    when it is there. `algorithm` is that of the digests of parts at hand.
    """

    put: Callable[[int, Held], Awaitable[T]]
    put_now: Callable[[int, AsyncIterator[bytes], int], Awaitable[T]]
    size_of: Callable[[int, int], int]
    is_told: bool
    at_once: int
    algorithm: str


class Sending(Generic[T]):
    """One content, cut into parts; so many are on their way as there is room for."""

    def __init__(self, source: Source, room: Room, way: Way[T]) -> None:
        self._source = source
        self._room = room
        self._way = way
        self._tasks: set[asyncio.Task[None]] = set()
        self._sent: list[T] = []

    async def all(self, first: Held | None = None) -> list[T]:
        """Send all, of which `first` may be at hand; return what is known of each, in no order."""
        number, at = 1, 0
        if first is not None:
            at = first.size_bytes
            await self._start(number, first)
            number += 1
        while not self._source.is_over:
            at += await self._next(number, at)
            number += 1
        if self._tasks:
            await self._ended(asyncio.ALL_COMPLETED)
        return self._sent

    async def stop(self) -> None:
        """Cancel what is on its way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _next(self, number: int, at: int) -> int:
        """Send a part, or begin to; return its size."""
        size = self._way.size_of(number, at)
        if not self._way.is_told or size <= self._room.free_bytes:
            return await self._hold(number, size)
        # No room: this one goes as it comes, while those before are still on their way.
        self._sent.append(await self._way.put_now(number, self._source.take(size), size))
        return size

    async def _hold(self, number: int, size_bytes: int) -> int:
        held = Held(self._room, self._way.algorithm)
        try:
            await held.fill(self._source, size_bytes)
        except BaseException:
            held.close()
            raise
        if held.size_bytes:
            await self._start(number, held)
        return held.size_bytes

    async def _start(self, number: int, held: Held) -> None:
        try:
            while len(self._tasks) >= self._way.at_once:
                await self._ended(asyncio.FIRST_COMPLETED)
        except BaseException:
            held.close()
            raise
        task = asyncio.create_task(self._send(number, held))
        task.add_done_callback(lambda _task: held.close())
        self._tasks.add(task)

    async def _send(self, number: int, held: Held) -> None:
        self._sent.append(await self._way.put(number, held))

    async def _ended(self, when: str) -> None:
        done, self._tasks = await asyncio.wait(self._tasks, return_when=when)
        for task in done:
            task.result()
