"""Files written and read in threads, a piece at a time, and safe to leave at any moment."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

from nimbi.model.errors import CloudError

# Small enough for many streams at once, large enough that the trips to threads cost little.
PIECE_BYTES = 512 * 1024
COPIED_BYTES = 8 * 1024 * 1024

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


def file_id(facts: os.stat_result) -> str:
    """Return what differs between two files that were at one path one after the other."""
    return f"{facts.st_ino:x}-{facts.st_mtime_ns:x}"


class Spool:
    """A file being written. It is removed when the `with` block ends, unless `is_kept` was set.

    A task that is cancelled leaves its thread at work: each step and the end of the block take
    turns, and a step that comes after the end does nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_kept = False
        self._turn = Lock()
        self._file = path.open("xb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with self._turn:
            try:
                self._file.close()
            finally:
                if not self.is_kept:
                    self.path.unlink(missing_ok=True)

    async def write(self, chunks: list[bytes]) -> None:
        await in_thread(lambda: self._write(chunks))

    async def append(self, source: Path, id: str) -> int | None:
        """Add another file and return its size; None when it is gone or has not this id."""
        return await in_thread(lambda: self._append(source, id))

    async def close(self) -> str:
        """Write out what is left, and return the id of the file."""
        return await in_thread(self._close)

    def _write(self, chunks: list[bytes]) -> None:
        with self._turn:
            if not self._file.closed:
                self._file.writelines(chunks)

    def _append(self, source: Path, id: str) -> int | None:
        try:
            file = source.open("rb")
        except FileNotFoundError:
            return None
        with file:
            facts = os.fstat(file.fileno())
            if file_id(facts) != id:
                return None
            place = 0
            while place < facts.st_size:
                with self._turn:
                    if self._file.closed:
                        return None
                    # The kernel copies; nothing is in the file object's own buffer.
                    place += os.sendfile(self._file.fileno(), file.fileno(), place, COPIED_BYTES)
            return facts.st_size

    def _close(self) -> str:
        with self._turn:
            self._file.flush()
            facts = os.fstat(self._file.fileno())
            self._file.close()
            return file_id(facts)


class Pieces:
    """A part of a file, read as it is asked for. Closed at its end, or by `aclose`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._turn = Lock()
        self._left = 0

    def limit(self, first: int, size_bytes: int) -> None:
        """Set which part comes."""
        self._file.seek(first)
        self._left = size_bytes

    @property
    def descriptor(self) -> int:
        """The open file, until the end or `aclose`."""
        return self._file.fileno()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._left == 0:
            await self.aclose()
            raise StopAsyncIteration
        piece = await in_thread(self._read)
        if not piece:
            await self.aclose()
            raise CloudError("the content of the blob ended before its time")
        self._left -= len(piece)
        return piece

    async def aclose(self) -> None:
        with self._turn:
            self._file.close()

    def _read(self) -> bytes:
        with self._turn:
            if self._file.closed:
                return b""
            return self._file.read(min(PIECE_BYTES, self._left)) or b""
