"""Files that are never half there, private directories, and locks between processes."""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from nimbi.qemu.errors import Failed, TimedOut

UNFINISHED = ".new-"
"""Start of the names of directories that nothing but a builder knows."""

SPARE_BYTES = 4096
FULL = (errno.ENOSPC, errno.EDQUOT)

RETRY_S = (0.01, 0.02, 0.05, 0.1)
"""Pauses between tries for a lock; the last one repeats."""


def private_directory(path: Path) -> Path:
    """Make a directory that only its owner can enter, with its parents, and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file by `data` so that a reader, or a crash, sees the old or the new one whole.

    The file is readable by its owner only.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, atomically."""
    write_atomically(path, _json(value))


def replace_json(path: Path, value: Any, spare: Path) -> None:
    """Replace a small file by a value as JSON, also when the disk is full.

    `spare` is a file beside it that keeps room for that: it becomes the new file then, and is made
    again of the room that the old one leaves.
    """
    data = _json(value)
    try:
        write_atomically(path, data)
    except OSError as error:
        if error.errno not in FULL or not _fits(data, spare):
            raise
        # White space at the end is no part of the value.
        with spare.open("r+b") as out:
            out.write(data.ljust(SPARE_BYTES))
            out.flush()
            os.fsync(out.fileno())
        spare.replace(path)
        sync_directory(path.parent)
    if not spare.exists():
        with contextlib.suppress(OSError):
            write_atomically(spare, b" " * SPARE_BYTES)


def _fits(data: bytes, spare: Path) -> bool:
    return len(data) <= SPARE_BYTES and spare.exists()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def create_once(path: Path, value: Any) -> bool:
    """Write a value as JSON unless the file exists, and say whether it was written."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        os.close(descriptor)
        write_json(Path(temporary), value)
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        Path(temporary).unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


def sha256(path: Path) -> str:
    """Return the digest of a file in hexadecimal."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def try_lock(path: Path) -> int | None:
    """Take a lock that ends with this process, and return its descriptor; None when it is taken.

    The lock file may be removed by its holder, so a lock on a file that has lost its name does
    not count and is taken anew.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


@contextlib.asynccontextmanager
async def locked(path: Path, within_s: float = 60) -> AsyncGenerator[None]:
    """Hold a lock between processes and tasks. Raises TimedOut when others keep it."""
    descriptor = await _lock_within(path, within_s)
    try:
        yield
    finally:
        os.close(descriptor)


async def _lock_within(path: Path, within_s: float) -> int:
    pauses = iter(RETRY_S)
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while (descriptor := try_lock(path)) is None:
        if loop.time() >= end:
            raise TimedOut(f"another operation kept {path.stem} busy for {within_s:g} s")
        # flock has no waiting that an event loop understands, so it is tried again.
        await asyncio.sleep(next(pauses, RETRY_S[-1]))
    return descriptor


@contextlib.asynccontextmanager
async def workspace(parent: Path) -> AsyncGenerator[Path]:
    """Give an empty directory inside `parent`; what is still in it at the end is removed.

    It is locked as long as the builder lives, so that `sweep` leaves it alone.
    """
    work, lock = await asyncio.to_thread(_locked_directory, parent)
    try:
        yield work / "parts"
    finally:
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
        os.close(lock)


def _remove_all(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)


def put_away(place: Path, remove: Callable[[Path], None] = _remove_all) -> None:
    """Remove a directory, out of sight first: what a cut removal leaves is never a thing.

    It may be gone already. No directory is made for that, since the disk may be full.
    """
    away = place.with_name(f"{UNFINISHED}{place.name}")
    for tries_left in reversed(range(10)):
        remove(away)
        try:
            place.rename(away)
        except FileNotFoundError:
            return
        except OSError as error:
            # Another removal of the same name may have put something there.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not tries_left:
                raise
        else:
            break
    sync_directory(place.parent)
    remove(away)


def _locked_directory(parent: Path) -> tuple[Path, int]:
    for _ in range(10):
        work = Path(tempfile.mkdtemp(dir=parent, prefix=UNFINISHED))
        # A sweep of another process may come between these two lines.
        with contextlib.suppress(FileNotFoundError):
            lock = try_lock(work / "lock")
            if lock is not None:
                (work / "parts").mkdir(mode=0o700)
                return work, lock
    raise Failed(f"no directory can be made in {parent.name}")


def sweep(parent: Path, remove: Callable[[Path], None] = _remove_all) -> None:
    """Remove the workspaces of builders that were killed, by `remove`."""
    for work in parent.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):
            lock = try_lock(work / "lock")
            if lock is not None:
                remove(work)
                os.close(lock)
