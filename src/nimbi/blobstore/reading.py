"""Contents on their way out, read in threads, a piece at a time."""

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from threading import Lock

from nimbi.blobstore.contents import Contents
from nimbi.blobstore.errors import Conflict, Damaged
from nimbi.blobstore.threads import Threads

# Small enough for many streams at once, large enough that the trips to threads cost little.
PIECE_BYTES = 512 * 1024


@dataclass(frozen=True)
class Extent:
    """A part of a blob: the bytes from `first` in the file of a content."""

    file: str
    first: int
    size_bytes: int


@dataclass(frozen=True)
class Part:
    """A part of an open file."""

    descriptor: int
    first: int
    size_bytes: int


class Reader(AsyncIterator[bytes]):
    """The bytes of extents, one after the other. Closed at its end, or by `aclose`."""

    def __init__(self, contents: Contents, threads: Threads, extents: Sequence[Extent]) -> None:
        """Open the first extent. Raises FileNotFoundError when its content is gone."""
        self._contents = contents
        self._threads = threads
        self._turn = Lock()
        self._extents = list(reversed(extents))
        self._now = Extent("", 0, 0)
        self._descriptor = -1
        self._advance()

    @property
    def whole(self) -> Part | None:
        """All that comes, when it is in one file that is open until `aclose`; else None.

        Whoever uses it must not ask for pieces.
        """
        if self._extents or self._descriptor < 0:
            return None
        return Part(self._descriptor, self._now.first, self._now.size_bytes)

    async def __anext__(self) -> bytes:
        if self._now.size_bytes == 0 and not self._extents:
            await self.aclose()
            raise StopAsyncIteration
        piece = await self._threads.run(self._read)
        if not piece:
            await self.aclose()
            raise Damaged("the content of the blob ended before its time")
        return piece

    async def aclose(self) -> None:
        with self._turn:
            self._extents.clear()
            self._close()

    def _read(self) -> bytes:
        with self._turn:
            if self._now.size_bytes == 0 and self._extents:
                self._next()
            if self._descriptor < 0:
                return b""
            now = self._now
            piece = os.pread(self._descriptor, min(PIECE_BYTES, now.size_bytes), now.first)
            size = len(piece)
            self._now = Extent(now.file, now.first + size, now.size_bytes - size)
            return piece

    def _next(self) -> None:
        try:
            self._advance()
        except FileNotFoundError:
            raise Conflict("the blob was replaced while it was read") from None

    def _advance(self) -> None:
        self._close()
        if self._extents:
            self._now = self._extents.pop()
            self._descriptor = self._contents.open(self._now.file)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
