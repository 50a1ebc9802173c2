"""The bytes of blobs: each content a file under a random id, so that no user names a path.

```text
new/ID               held, by a lock on it, by whoever writes it
contents/AB/ABCDEF…  finished: synced to the disk before anything names it
```

A content has both names from when it is finished until the index knows it. So what a killed
process left has a name in `new`, and a sweep need not look at the contents.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import TypeVar

from nimbi.blobstore.errors import BlobstoreError, Full, Invalid

T = TypeVar("T")

HURRIED_BYTES = 8 * 1024 * 1024

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Contents:
    """The folder of all contents."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unfinished = root / "new"
        self._finished = root / "contents"
        for folder in (self.unfinished, self._finished):
            folder.mkdir(mode=0o700, exist_ok=True)

    def path(self, id: str) -> Path:
        return self._finished / id[:2] / id

    def draft(self) -> "Draft":
        """Begin a content."""
        return Draft(self)

    def open(self, id: str) -> int:
        """Return a descriptor for reading. Raises FileNotFoundError when the content is gone."""
        return os.open(self.path(id), os.O_RDONLY | os.O_CLOEXEC)

    def remove(self, ids: Collection[str]) -> None:
        """Remove contents; those who read them go on reading."""
        for id in ids:
            self.path(id).unlink(missing_ok=True)

    def keep(self, id: str) -> None:
        """Give a draft its place among the contents, for good."""
        path = self.path(id)
        try:
            path.hardlink_to(self.unfinished / id)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _sync(self._finished)
            path.hardlink_to(self.unfinished / id)
        _sync(path.parent)

    def sweep(self, known: Callable[[Collection[str]], Collection[str]]) -> None:
        """Remove what killed processes left, but not what others are writing now.

        `known` says which of these contents the index names.
        """
        left: dict[str, int] = {}
        try:
            for path in self.unfinished.iterdir():
                if (descriptor := _taken(path)) is not None:
                    left[path.name] = descriptor
            named = known(left) if left else ()
            for id in left:
                if id not in named:
                    self.remove((id,))
                (self.unfinished / id).unlink(missing_ok=True)
        finally:
            for descriptor in left.values():
                os.close(descriptor)

    def left(self) -> Iterator[str]:
        """Yield the ids of what killed processes were writing."""
        for path in self.unfinished.iterdir():
            if (descriptor := _taken(path)) is not None:
                os.close(descriptor)
                yield path.name

    def finished(self) -> Iterator[str]:
        """Yield the ids of all contents that are on disk, named by the index or not."""
        for shard in self._finished.iterdir():
            yield from (path.name for path in shard.iterdir())


class Draft:
    """A content being written. `close` must be called, whatever happened; it may be called twice.

    A task that is cancelled leaves its thread at work: the steps take turns, and a step that comes
    after the end does nothing.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._turn = Lock()
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self._hurried = 0
        with spared():
            self.id, self._descriptor = self._begun()

    @property
    def digest(self) -> bytes:
        return self._digest.digest()

    def add(self, chunks: list[bytes]) -> None:
        """Write more. Raises Full."""
        # Copied once more on purpose: chunks that are kept until the system has written them come
        # back to the allocator so late that it takes new pages for the next ones, which costs more.
        data = b"".join(chunks)
        with self._turn, spared():
            if self._descriptor < 0:
                return
            self._digest.update(data)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            self.size_bytes += len(data)
            self._hurry()

    def publish(self, size_bytes: int | None, record: Callable[[], T]) -> T:
        """Put the content in its place, on the disk itself, and return what `record` returns.

        `record` makes the index name the content; when it raises, the content goes at the `close`.
        All of it is one step, between whose parts no `close` can come. Raises Invalid for content
        of another size than `size_bytes`.
        """
        with self._turn, spared():
            if size_bytes not in {None, self.size_bytes}:
                raise Invalid(f"the content has {self.size_bytes} bytes, not the {size_bytes} told")
            if self._descriptor < 0:
                raise BlobstoreError("the writing was given up")
            os.fsync(self._descriptor)
            self._contents.keep(self.id)
            made = record()
            self._end()
            return made

    def close(self) -> None:
        """Remove what was written, unless it was published."""
        with self._turn:
            if self._descriptor >= 0:
                self._contents.remove((self.id,))
                self._end()

    def _hurry(self) -> None:
        """Have the system write out what has come, so that little is left for the sync at the end.

        The advice is the one that Python knows of those that begin this; what is being written out
        stays in memory all the same, for those who read it next.
        """
        first, size = self._hurried, self.size_bytes - self._hurried
        if size >= HURRIED_BYTES:
            os.posix_fadvise(self._descriptor, first, size, os.POSIX_FADV_DONTNEED)
            self._hurried += size

    def _end(self) -> None:
        (self._contents.unfinished / self.id).unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1

    def _begun(self) -> tuple[str, int]:
        while True:
            id = token_hex(16)
            path = self._contents.unfinished / id
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            # A sweep of another process may come between these lines.
            if _is_locked(path, descriptor):
                return id, descriptor
            os.close(descriptor)


@contextmanager
def spared() -> Iterator[None]:
    """Raise Full when the operating system has no room."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise Full(f"the disk can take no more: {error.strerror}") from error
        raise


def _taken(path: Path) -> int | None:
    """Return the descriptor of a draft that nobody writes any more, locked."""
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if _is_locked(path, descriptor):
            return descriptor
        os.close(descriptor)
    return None


def _is_locked(path: Path, descriptor: int) -> bool:
    """Lock an open file, and say whether that could be done and it still has its name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
