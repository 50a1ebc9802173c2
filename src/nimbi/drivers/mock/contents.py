"""The bytes of blobs, each content a file under a name that no user chose."""

import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from nimbi.drivers.mock.spool import PIECE_BYTES, Pieces, Spool, in_thread
from nimbi.model.buckets import Segment
from nimbi.model.errors import Invalid, NotFound

# Chunks may be tiny; this many are kept in memory at most.
CHUNKS_GATHERED = 1024
# What no blob names was left by a process that was killed; what is younger may be in the making.
LEFTOVER_S = 24 * 3600


@dataclass(frozen=True)
class Stored:
    """Content that is kept under the name made up for it."""

    name: str
    size_bytes: int


class Contents:
    """A folder of contents; None is a temporary one, gone at `close`.

    Temporary folders are made below `scratch`, where what killed processes left is removed first.
    """

    def __init__(self, folder: Path | None, scratch: Path | None = None) -> None:
        self._own = _temporary(scratch) if folder is None else None
        self.folder = folder or Path(self._own.name if self._own else "")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, name: str, content: bytes) -> None:
        """Keep a small content under a given name."""
        (self.folder / name).write_bytes(content)

    def open(self, name: str) -> Pieces:
        """Open a content. Raises FileNotFoundError when it is gone."""
        return Pieces(self.folder / name)

    @asynccontextmanager
    async def received(
        self, chunks: AsyncIterator[bytes], size_bytes: int | None
    ) -> AsyncIterator[Stored]:
        """Give the stored content, which stays when the block ends and goes when it raises."""
        name = token_hex(16)
        with Spool(self.folder / name) as spool:
            received = await _fill(spool, chunks, size_bytes)
            await spool.close()
            yield Stored(name, received)
            spool.is_kept = True

    @asynccontextmanager
    async def joined(self, upload_id: str, segments: tuple[Segment, ...]) -> AsyncIterator[Stored]:
        """Give the content made of these segments, in the order given; then as `received`."""
        name = token_hex(16)
        with Spool(self.folder / name) as spool:
            size_bytes = 0
            for segment in segments:
                source = self.folder / upload_id / str(segment.order)
                added = await spool.append(source, segment.id)
                if added is None:
                    raise Invalid(f"the upload has no segment {segment.order} {segment.id!r}")
                size_bytes += added
            await spool.close()
            yield Stored(name, size_bytes)
            spool.is_kept = True

    def begin_upload(self, id: str) -> None:
        (self.folder / id).mkdir(mode=0o700, exist_ok=True)

    async def segment(
        self, upload_id: str, order: int, chunks: AsyncIterator[bytes], size_bytes: int | None
    ) -> Segment:
        """Keep one part of an upload, in place of an earlier one of the same order."""
        folder = self.folder / upload_id
        try:
            with Spool(folder / f"new-{token_hex(8)}") as spool:
                await _fill(spool, chunks, size_bytes)
                segment = Segment(order=order, id=await spool.close())
                spool.path.rename(folder / str(order))
                spool.is_kept = True
        except FileNotFoundError as error:
            raise NotFound("the upload is finished or aborted") from error
        return segment

    async def remove(self, *names: str) -> None:
        """Remove contents, and uploads with their segments; what is gone stays gone."""
        await in_thread(lambda: _remove(*(self.folder / name for name in names)))

    def sweep(self, known: Collection[str]) -> None:
        """Remove what killed processes left."""
        oldest = time.time() - LEFTOVER_S
        for path in self.folder.iterdir():
            if path.name not in known and path.stat().st_mtime < oldest:
                _remove(path)

    def close(self) -> None:
        if self._own is not None:
            self._own.cleanup()


def _temporary(scratch: Path | None) -> tempfile.TemporaryDirectory[str]:
    if scratch is None:
        return tempfile.TemporaryDirectory(prefix="nimbi-mock-")
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in scratch.iterdir():
        # Named by the process that made it; another server on this machine may still run.
        if not Path("/proc", left.name.partition("-")[0]).exists():
            _remove(left)
    return tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=scratch)


async def _fill(spool: Spool, chunks: AsyncIterator[bytes], size_bytes: int | None) -> int:
    """Return how much was written. Raises Invalid when that is not the size told."""
    received = gathered_bytes = 0
    gathered: list[bytes] = []
    async for chunk in chunks:
        received += len(chunk)
        if size_bytes is not None and received > size_bytes:
            raise Invalid(f"the content has more than the {size_bytes} bytes told")
        gathered.append(chunk)
        gathered_bytes += len(chunk)
        if gathered_bytes >= PIECE_BYTES or len(gathered) >= CHUNKS_GATHERED:
            await spool.write(gathered)
            gathered, gathered_bytes = [], 0
    await spool.write(gathered)
    if size_bytes is not None and received != size_bytes:
        raise Invalid(f"the content has {received} bytes, not the {size_bytes} told")
    return received


def _remove(*paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
