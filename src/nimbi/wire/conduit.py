"""Bytes from one socket to another, moved by the kernel alone."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress

# The most that the system gives to anybody. What a pipe holds are pages of the sockets, no copies.
PIPE_BYTES = 1024 * 1024

FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK

# After so much, others have their turn.
TURN_BYTES = 4 * PIPE_BYTES


class CutShort(Exception):
    """The source ended before all had come, or said nothing for too long."""


class Conduit:
    """A pipe between two sockets that do not block, and that stay open after it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, source: int, target: int) -> None:
        self._loop = loop
        self._source = source
        self._target = target
        self._out, self._in = os.pipe()
        # Users without rights have few large pipes; a small one only takes more steps.
        with suppress(OSError):
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._held = 0

    async def carry(self, count: int, idle_s: float) -> None:
        """Move so many bytes, as fast as the target takes them.

        Raises CutShort, also when the source says nothing for `idle_s`; OSError when the target
        takes nothing any more.
        """
        until_turn = TURN_BYTES
        while count:
            taken = await self._fill(min(count, PIPE_BYTES), idle_s)
            await self._empty()
            count -= taken
            until_turn -= taken
            if until_turn <= 0:
                until_turn = TURN_BYTES
                await asyncio.sleep(0)

    def close(self) -> None:
        os.close(self._in)
        os.close(self._out)

    async def _fill(self, most: int, idle_s: float) -> int:
        """Take what the source has by now, waiting only for the first of it."""
        while True:
            try:
                self._held = os.splice(self._source, self._in, most, flags=FLAGS)
            except BlockingIOError:
                await self._readable(idle_s)
            except OSError as error:
                raise CutShort(f"the content broke off: {error.strerror}") from error
            else:
                if not self._held:
                    raise CutShort("the content broke off")
                return self._held

    async def _empty(self) -> None:
        while self._held:
            try:
                self._held -= os.splice(self._out, self._target, self._held, flags=FLAGS)
            except BlockingIOError:
                await self._ready(self._target, self._loop.add_writer, self._loop.remove_writer)

    async def _readable(self, idle_s: float) -> None:
        try:
            async with asyncio.timeout(idle_s):
                await self._ready(self._source, self._loop.add_reader, self._loop.remove_reader)
        except TimeoutError:
            raise CutShort(f"nothing came for {idle_s:g} s") from None

    async def _ready(
        self, descriptor: int, add: Callable[..., None], remove: Callable[[int], object]
    ) -> None:
        ready = self._loop.create_future()

        def tell() -> None:
            if not ready.done():
                ready.set_result(None)

        add(descriptor, tell)
        try:
            await ready
        finally:
            remove(descriptor)
