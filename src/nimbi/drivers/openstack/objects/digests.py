"""Checksums of content on its way, made beside the way."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

# Less is not worth a thread.
BLOCK_BYTES = 512 * 1024


class Digest:
    """The MD5 of content that comes in chunks, computed while the next ones come."""

    def __init__(self) -> None:
        self._found = hashlib.md5(usedforsecurity=False)
        self._blocks: list[bytes] = []
        self._size = 0
        self._under_way: asyncio.Future[None] | None = None

    async def update(self, chunk: bytes) -> None:
        """Take more; waits while more than a block is behind."""
        self._blocks.append(chunk)
        self._size += len(chunk)
        if self._size >= BLOCK_BYTES:
            await self._settled()
            blocks, self._blocks, self._size = self._blocks, [], 0
            loop = asyncio.get_running_loop()
            self._under_way = loop.run_in_executor(None, self._take, blocks)

    async def text(self) -> str:
        """Return the digest of all that came, in hex."""
        await self._settled()
        self._take(self._blocks)
        self._blocks = []
        return self._found.hexdigest()

    async def of(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield chunks as they come, and take them."""
        async for chunk in chunks:
            await self.update(chunk)
            yield chunk

    def _take(self, blocks: list[bytes]) -> None:
        for block in blocks:
            self._found.update(block)

    async def _settled(self) -> None:
        if self._under_way is not None:
            await self._under_way
            self._under_way = None
