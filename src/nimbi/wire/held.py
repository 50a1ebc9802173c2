"""Parts at hand: in memory while there is room, else in a file; they can be sent again."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from io import BufferedRandom

from nimbi.wire.room import MIB, Room
from nimbi.wire.source import Source

# Chunks smaller than this are joined, so that a byte never costs an object.
SMALL_BYTES = 16 * 1024
BLOCK_BYTES = 256 * 1024
# So little is held without asking for room.
ALWAYS_BYTES = 64 * 1024
STEP_BYTES = MIB


class Held:
    """One part. Whoever has it closes it. `digest` is in hex, by the algorithm that is named."""

    def __init__(self, room: Room, algorithm: str = "sha256") -> None:
        self.size_bytes = 0
        self.digest = hashlib.new(algorithm, usedforsecurity=False).hexdigest()
        self._algorithm = algorithm
        self._room = room
        self._taken = 0
        self._blocks: list[bytes | bytearray] = []
        self._file: BufferedRandom | None = None
        self._unwritten_bytes = 0

    async def fill(self, source: Source, most_bytes: int) -> None:
        """Take up to so many bytes, into a file from where there is no room for more."""
        async for chunk in source.take(most_bytes):
            self.size_bytes += len(chunk)
            if self._file is not None or not self._has_room():
                await self._write(chunk)
            else:
                self._keep(chunk)
        await self._flush()
        self.digest = await self._found_digest()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content, from its beginning each time."""
        if self._file is None:
            for block in self._blocks:
                for start in range(0, len(block), BLOCK_BYTES):
                    yield bytes(block[start : start + BLOCK_BYTES])
            return
        self._file.seek(0)
        while block := await asyncio.to_thread(self._file.read, BLOCK_BYTES):
            yield block

    def close(self) -> None:
        """Give back the memory, or the file."""
        self._room.give(self._taken)
        self._taken = 0
        self._blocks = []
        if self._file is not None:
            self._file.close()
            self._file = None

    def _has_room(self) -> bool:
        while self.size_bytes > self._taken + ALWAYS_BYTES:
            if not self._room.take(STEP_BYTES):
                return False
            self._taken += STEP_BYTES
        return True

    def _keep(self, chunk: bytes) -> None:
        last = self._blocks[-1] if self._blocks else b""
        if isinstance(last, bytearray) and len(last) < SMALL_BYTES:
            last += chunk
        else:
            self._blocks.append(bytearray(chunk) if len(chunk) < SMALL_BYTES else chunk)

    async def _write(self, chunk: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="nimbi-part-")  # noqa: SIM115  see close
        self._blocks.append(chunk)
        self._unwritten_bytes += len(chunk)
        if self._unwritten_bytes >= BLOCK_BYTES or self._taken:
            await self._flush()

    async def _flush(self) -> None:
        if self._file is None:
            return
        blocks, self._blocks, self._unwritten_bytes = self._blocks, [], 0
        await asyncio.to_thread(self._file.writelines, blocks)
        self._room.give(self._taken)
        self._taken = 0

    async def _found_digest(self) -> str:
        if self._file is None and self.size_bytes <= ALWAYS_BYTES:
            return self._of_memory()
        return await asyncio.to_thread(self._of_memory if self._file is None else self._of_file)

    def _of_memory(self) -> str:
        found = hashlib.new(self._algorithm, usedforsecurity=False)
        for block in self._blocks:
            found.update(block)
        return found.hexdigest()

    def _of_file(self) -> str:
        found = hashlib.new(self._algorithm, usedforsecurity=False)
        if self._file is not None:
            self._file.seek(0)
            while block := self._file.read(BLOCK_BYTES):
                found.update(block)
        return found.hexdigest()
