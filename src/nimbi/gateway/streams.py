"""Blobs and consoles on their way: no deadline for the whole, one for each chunk."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from nimbi.driver.consoles import ConsoleStream
from nimbi.gateway.deadline import finish
from nimbi.gateway.shape import Parameter
from nimbi.model.errors import CloudError, Timeout

# A timer is put off only after this part of the idle time, not for every chunk: a cheap stream
# has many thousands of them. So a stream is given up after 3/4 to 1 of the idle time.
PUT_OFF = 0.25

T = TypeVar("T")

ToError = Callable[[Exception], CloudError]


class Upward:
    """The caller's chunks on their way to the driver."""

    def __init__(self, idle_s: float, last_s: float, late: str, to_error: ToError) -> None:
        """`idle_s` is for each chunk, `last_s` for the cloud's answer after the last one."""
        self._idle_s = idle_s
        self._last_s = last_s
        self._late = late
        self._to_error = to_error
        self._loop = asyncio.get_running_loop()
        self._set_at = self._loop.time()
        self._limit = asyncio.timeout_at(self._set_at + idle_s)
        self._failure: Exception | None = None

    async def carry(
        self,
        call: Callable[..., Coroutine[Any, Any, Any]],
        chunks: Parameter,
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        """Return what the call returns. Makes it once; raises Timeout when nothing moves.

        What the caller's own iterator raises comes back as it is: it is no error of the cloud.
        """
        is_named = chunks.at >= len(args)
        given = named.get(chunks.name) if is_named else args[chunks.at]
        if given is None:
            raise TypeError(f"a stream needs its {chunks.name}")
        watched = self._watch(given)
        if is_named:
            named = {**named, chunks.name: watched}
        else:
            args = (*args[: chunks.at], watched, *args[chunks.at + 1 :])
        coroutine = call(*args, **named)
        try:
            async with self._limit:
                answer = await coroutine
        except Exception as raised:
            error = self._failure or self._meaning(raised)
            if error is raised:
                raise
            raise error from raised
        finally:
            await watched.aclose()
        if self._failure is not None:
            raise self._failure
        return answer

    def _meaning(self, raised: Exception) -> Exception:
        if isinstance(raised, TimeoutError) and self._limit.expired():
            return Timeout(self._late)
        return self._to_error(raised)

    async def _watch(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        try:
            async for chunk in chunks:
                self._put_off()
                yield chunk
                self._put_off()
        except Exception as error:
            self._failure = error
            raise
        self._limit.reschedule(self._loop.time() + self._last_s)

    def _put_off(self) -> None:
        now = self._loop.time()
        if now - self._set_at > self._idle_s * PUT_OFF:
            self._set_at = now
            self._limit.reschedule(now + self._idle_s)


class Downward(AsyncIterator[bytes]):
    """The cloud's chunks on their way to the caller."""

    def __init__(
        self, chunks: AsyncIterator[bytes], idle_s: float, late: str, to_error: ToError
    ) -> None:
        self._chunks = chunks
        self._idle_s = idle_s
        self._late = late
        self._to_error = to_error

    async def __anext__(self) -> bytes:
        until = asyncio.get_running_loop().time() + self._idle_s
        try:
            return await finish(self._next(), until, self._late)
        except StopAsyncIteration:
            raise
        except Exception as raised:
            error = self._to_error(raised)
            if error is raised:
                raise
            raise error from raised

    async def aclose(self) -> None:
        """Give the stream up; whoever does not read it to its end must call this."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()

    async def _next(self) -> bytes:
        return await self._chunks.__anext__()


class Both:
    """A console between caller and cloud; a ConsoleStream.

    Nobody may say anything for hours, so `read` has no limit; `write` and `aclose` have.
    """

    def __init__(self, console: ConsoleStream, idle_s: float, late: str, to_error: ToError) -> None:
        self._console = console
        self._idle_s = idle_s
        self._late = late
        self._to_error = to_error

    async def read(self) -> bytes:
        return await self._told(self._console.read())

    async def write(self, data: bytes) -> None:
        await self._told(finish(self._console.write(data), self._until(), self._late))

    async def aclose(self) -> None:
        await self._told(finish(self._console.aclose(), self._until(), self._late))

    def _until(self) -> float:
        return asyncio.get_running_loop().time() + self._idle_s

    async def _told(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return await coroutine
        except Exception as raised:
            error = self._to_error(raised)
            if error is raised:
                raise
            raise error from raised
