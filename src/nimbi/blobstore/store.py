"""A store of blobs in one directory, which several processes may open at once."""

import fcntl
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from nimbi.blobstore.blobs import Blobs
from nimbi.blobstore.buckets import Buckets
from nimbi.blobstore.contents import Contents, spared
from nimbi.blobstore.index import Index
from nimbi.blobstore.threads import Threads
from nimbi.blobstore.uploads import Uploads


class BlobStore:
    """The store: `buckets`, `blobs` and `uploads`. Made by `open_store`."""

    def __init__(self, root: Path, threads: Threads, *, mend: bool = True) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._threads = threads
        # Two processes must not make the index, or sweep, at once.
        lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with spared():
                self._contents = Contents(root)
            self._index = Index(root, self._contents)
            if mend:
                self._index.sweep()
                self._contents.sweep(self._index.named)
        finally:
            os.close(lock)
        self.buckets = Buckets(self._index, threads)
        self.blobs = Blobs(self._index, self._contents, threads)
        self.uploads = Uploads(self._index, self._contents, threads)

    async def orphans(self) -> tuple[str, ...]:
        """Return the ids of contents that nothing names. It reads all of the store.

        Only a power cut at the very moment of a removal makes any; what is being written is none.
        """

        def work() -> tuple[str, ...]:
            stray = self._unnamed(self._contents.finished())
            held = {path.name for path in self._contents.unfinished.iterdir()}
            # What has lost its second name meanwhile is known to the index by now.
            return tuple(sorted(self._unnamed(id for id in stray if id not in held)))

        return await self._threads.run(work)

    async def drafts(self) -> tuple[str, ...]:
        """Return the ids of contents whose writer was killed; opening the store clears them."""
        return await self._threads.run(lambda: tuple(sorted(self._contents.left())))

    async def remove_orphans(self) -> int:
        """Remove the contents that nothing names, and return how many there were."""
        ids = await self.orphans()
        await self._threads.run(lambda: self._contents.remove(ids))
        return len(ids)

    def _unnamed(self, ids: Iterable[str]) -> set[str]:
        wanted = set(ids)
        return wanted - self._index.named(wanted)

    def close(self) -> None:
        self._index.close()


@asynccontextmanager
async def open_store(root: Path, *, mend: bool = True) -> AsyncIterator[BlobStore]:
    """Open the store of a directory, which is made when needed, and clear what a crash left.

    With `mend` off that is left for the next one who opens it. Raises Full, Damaged, OSError.
    """
    threads = Threads()
    try:
        store = await threads.run(lambda: BlobStore(root, threads, mend=mend))
        try:
            yield store
        finally:
            await threads.run(store.close)
    finally:
        threads.close()
