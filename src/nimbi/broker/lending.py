"""What comes of an account's cloud after the call, and the login that it holds open."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from nimbi.driver.consoles import ConsoleStream


class LentChunks(AsyncIterator[bytes]):
    """What is read of a cloud, and the login that it takes."""

    def __init__(self, chunks: AsyncIterator[bytes], held: AsyncExitStack) -> None:
        self._chunks = chunks
        self._held = held

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except BaseException:
            await self._held.aclose()
            raise

    async def aclose(self) -> None:
        """Give the stream up."""
        try:
            close = getattr(self._chunks, "aclose", None)
            if close is not None:
                await close()
        finally:
            await self._held.aclose()


class LentConsole:
    """A console, and the login that it takes; a ConsoleStream."""

    def __init__(self, console: ConsoleStream, held: AsyncExitStack) -> None:
        self._console = console
        self._held = held

    async def read(self) -> bytes:
        return await self._console.read()

    async def write(self, data: bytes) -> None:
        await self._console.write(data)

    async def aclose(self) -> None:
        try:
            await self._console.aclose()
        finally:
            await self._held.aclose()
