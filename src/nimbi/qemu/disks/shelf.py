"""Records in directories of their own: made as one step, changed under a lock, removed whole."""

import json
import os
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from nimbi.qemu.disks.records import Hold, Snapshot, SnapshotState, Volume
from nimbi.qemu.errors import NotFound
from nimbi.qemu.guests.record import RECORD
from nimbi.qemu.host.files import (
    locked,
    private_directory,
    put_away,
    sweep,
    sync_directory,
    try_lock,
    workspace,
    write_json,
)

T = TypeVar("T", bound=Volume | Snapshot)


class Shelf(Generic[T]):
    """Things of one kind below one directory, safe for several processes at once."""

    def __init__(
        self, root: Path, place: str, noun: str, prefix: str, read: Callable[[dict[str, Any]], T]
    ) -> None:
        """Keep them below `root/place`; ids are `<prefix>-<16 hexadecimal digits>`."""
        self.place = private_directory(root / place)
        self.locks = private_directory(root / "locks")
        self._noun = noun
        self._prefix = prefix
        self._read: Callable[[dict[str, Any]], T] = read

    def directory(self, id: str) -> Path:
        """Return where a thing lives. Raises NotFound for what cannot be an id."""
        if not re.fullmatch(rf"{self._prefix}-[0-9a-f]{{16}}", id):
            raise self.missing(id)
        return self.place / id

    def missing(self, id: str) -> NotFound:
        """Return the error that says that there is no such thing."""
        return NotFound(f"there is no {self._noun} {id!r}")

    def all(self) -> list[T]:
        """Return all things, the oldest first."""
        found = [self._load(path) for path in self.place.glob(f"{self._prefix}-*")]
        return sorted((r for r in found if r), key=lambda record: (record.created_at, record.id))

    def find(self, id: str) -> T | None:
        """Return one thing, or None."""
        return self._load(self.directory(id))

    def get(self, id: str) -> T:
        """Return one thing. Raises NotFound."""
        found = self.find(id)
        if found is None:
            raise self.missing(id)
        return found

    def save(self, record: T) -> T:
        """Replace a record and return it. The caller holds its lock."""
        write_json(self.directory(record.id) / RECORD, _fields(record))
        return record

    @asynccontextmanager
    async def holding(self, id: str, within_s: float = 60) -> AsyncGenerator[T]:
        """Hold back everybody else who wants to change the thing. Raises NotFound, TimedOut."""
        self.get(id)
        async with self.creating(id, within_s):
            yield self.get(id)

    @asynccontextmanager
    async def creating(self, id: str, within_s: float = 60) -> AsyncGenerator[None]:
        """Hold the same lock as `holding`, for a thing that need not be there."""
        lock = self.locks / f"{self.directory(id).name}.lock"
        async with locked(lock, within_s):
            try:
                yield
            finally:
                if self.find(id) is None:
                    lock.unlink(missing_ok=True)

    def workspace(self) -> AbstractAsyncContextManager[Path]:
        """Give an empty directory in which to make a new thing."""
        return workspace(self.place)

    def put(self, work: Path, record: T) -> T:
        """Give a finished directory its record and its place, as one step."""
        write_json(work / RECORD, _fields(record))
        work.rename(self.directory(record.id))
        sync_directory(self.place)
        return record

    def remove(self, id: str) -> None:
        """Remove a thing with all its files. The caller holds its lock."""
        put_away(self.directory(id))

    def clean(self) -> None:
        """Remove what creations and removals that were killed have left behind."""
        sweep(self.place)
        for lock in self.locks.glob(f"{self._prefix}-*"):
            # Whoever makes a thing that is not there yet holds its lock.
            if not (self.place / lock.stem).exists() and (held := try_lock(lock)) is not None:
                if not (self.place / lock.stem).exists():
                    lock.unlink(missing_ok=True)
                os.close(held)

    def _load(self, directory: Path) -> T | None:
        try:
            fields = json.loads((directory / RECORD).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        return self._read({**fields, "created_at": datetime.fromisoformat(fields["created_at"])})


def volumes(root: Path) -> Shelf[Volume]:
    """Return the shelf of volumes."""
    return Shelf(
        root, "volumes", "volume", "vol", lambda f: Volume(**{**f, "hold": Hold(f["hold"])})
    )


def snapshots(root: Path) -> Shelf[Snapshot]:
    """Return the shelf of snapshots."""
    return Shelf(
        root,
        "snapshots",
        "snapshot",
        "snap",
        lambda f: Snapshot(**{**f, "state": SnapshotState(f["state"])}),
    )


def _fields(record: Volume | Snapshot) -> dict[str, Any]:
    return {**asdict(record), "created_at": record.created_at.isoformat()}
